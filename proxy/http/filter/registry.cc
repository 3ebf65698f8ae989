#include "proxy/http/filter/registry.h"

#include <array>

#include "proxy/http/filter/health/health.h"
#include "proxy/http/filter/rate_limit/rate_limit.h"

namespace baton::proxy::http {
namespace {

constexpr std::array<HttpFilterRegistration, 2> kFilters{{
    {.type = "health", .parse = HealthFactory::parse},
    {.type = "rate_limit", .parse = RateLimitFactory::parse},
}};

}  // namespace

std::span<const HttpFilterRegistration> http_filters() { return kFilters; }

const HttpFilterRegistration* find_http_filter(std::string_view type) {
  for (const HttpFilterRegistration& filter : kFilters) {
    if (filter.type == type) return &filter;
  }
  return nullptr;
}

}  // namespace baton::proxy::http

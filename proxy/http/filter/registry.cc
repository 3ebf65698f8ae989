#include "proxy/http/filter/registry.h"

#include <array>

#include "proxy/http/filter/health/health.h"

namespace baton::proxy::http {
namespace {

constexpr std::array<HttpFilterRegistration, 1> kFilters{{
    {.type = "health", .parse = HealthFactory::parse},
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

#include "proxy/http/filter/registry.h"

#include <array>

#include "proxy/http/filter/compression/compression.h"
#include "proxy/http/filter/fault/fault.h"
#include "proxy/http/filter/headers/headers.h"
#include "proxy/http/filter/health/health.h"
#include "proxy/http/filter/ip_filter/ip_filter.h"
#include "proxy/http/filter/rate_limit/rate_limit.h"
#include "proxy/http/filter/request_id/request_id.h"

namespace baton::proxy::http {
namespace {

constexpr auto kFilters = std::to_array<HttpFilterRegistration>({
    {.type = "compression", .parse = CompressionFactory::parse},
    {.type = "fault", .parse = FaultFactory::parse},
    {.type = "headers", .parse = HeadersFactory::parse},
    {.type = "health", .parse = HealthFactory::parse},
    {.type = "ip_filter", .parse = IpFilterFactory::parse},
    {.type = "rate_limit", .parse = RateLimitFactory::parse},
    {.type = "request_id", .parse = RequestIdFactory::parse},
});

}  // namespace

std::span<const HttpFilterRegistration> http_filters() { return kFilters; }

const HttpFilterRegistration* find_http_filter(std::string_view type) {
  for (const HttpFilterRegistration& filter : kFilters) {
    if (filter.type == type) return &filter;
  }
  return nullptr;
}

}  // namespace baton::proxy::http

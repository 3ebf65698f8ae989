// The HTTP filters that the tests of the configuration know: one of its own, and one with the name
// of a network filter.
#include <array>

#include "proxy/config/table_reader.h"
#include "proxy/http/filter/registry.h"

namespace baton::proxy::http {

class HttpFilterFactory {};

namespace {

std::shared_ptr<const HttpFilterFactory> parse_mark(TableReader& table) {
  return table.required_string("word") ? std::make_shared<HttpFilterFactory>() : nullptr;
}

constexpr std::array<HttpFilterRegistration, 2> kFilters{{
    {.type = "direct_response", .parse = parse_mark},
    {.type = "mark", .parse = parse_mark},
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

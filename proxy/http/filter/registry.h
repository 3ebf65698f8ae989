// The HTTP filters there are. Adding one: a folder with the filter and its factory, and one line in
// registry.cc. docs/extending.md has a worked example.
// Thread: any; constant.
#pragma once

#include <memory>
#include <span>
#include <string_view>

namespace baton::proxy {
class TableReader;
}

namespace baton::proxy::http {

class HttpFilterFactory;

struct HttpFilterRegistration {
  std::string_view type;  // the `type` of a [[listener.filter]]
  // Reads the filter's own keys (`type` is taken already; finish() is the caller's). Nothing: a
  // mistake has been recorded in the reader.
  std::shared_ptr<const HttpFilterFactory> (*parse)(TableReader& table);
};

std::span<const HttpFilterRegistration> http_filters();
// nullptr: no such type.
const HttpFilterRegistration* find_http_filter(std::string_view type);

}  // namespace baton::proxy::http

#include "proxy/http/filter/compression/list_contains.h"

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {

bool list_contains(const HeaderMap& headers, HeaderId id, std::string_view word) {
  if (!headers.has(id)) return false;
  for (const HeaderField& field : headers) {
    if (field.id() != id) continue;
    std::string_view rest = field.value();
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      if (equal_ignoring_case(trim_blanks(rest.substr(0, comma)), word)) return true;
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  return false;
}

}  // namespace baton::proxy::http

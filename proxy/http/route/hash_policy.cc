#include "proxy/http/route/hash_policy.h"

#include <algorithm>

#include "proxy/http/codec/characters.h"
#include "proxy/upstream/hash_key.h"

namespace baton::proxy::http {
namespace {

// RFC 6265 section 4.2: "a=1; b=2". The first of that name; empty: none.
std::string_view cookie_in(std::string_view line, std::string_view name) {
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(';'), line.size());
    const std::string_view pair = trim_blanks(line.substr(0, end));
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return pair.substr(name.size() + 1);
    }
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return {};
}

std::string_view cookie(const HeaderMap& headers, std::string_view name) {
  for (const HeaderField& field : headers) {
    if (field.id() != HeaderId::Cookie) continue;
    const std::string_view value = cookie_in(field.value(), name);
    if (!value.empty()) return value;
  }
  return {};
}

}  // namespace

std::optional<std::uint64_t> HashPolicy::hash(const RequestHead& head,
                                              const os::SocketAddress& client) const {
  std::string address;
  std::string_view text;
  switch (source) {
    case Source::Header:
      text = head.headers.get(name);
      break;
    case Source::Cookie:
      text = cookie(head.headers, name);
      break;
    case Source::ClientAddress:
      address = client.ip_text();
      text = address;
      break;
  }
  if (text.empty()) return std::nullopt;
  return hash_of_text(text);
}

}  // namespace baton::proxy::http

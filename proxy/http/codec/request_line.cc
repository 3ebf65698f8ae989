#include "proxy/http/codec/request_line.h"

#include "proxy/http/codec/authority.h"
#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/version.h"

namespace baton::proxy::http {
namespace {

Method find_method(std::string_view name) {
  switch (name.size()) {
    case 3:
      if (name == "GET") return Method::Get;
      return name == "PUT" ? Method::Put : Method::Other;
    case 4:
      if (name == "POST") return Method::Post;
      return name == "HEAD" ? Method::Head : Method::Other;
    case 5:
      if (name == "PATCH") return Method::Patch;
      return name == "TRACE" ? Method::Trace : Method::Other;
    case 6:
      return name == "DELETE" ? Method::Delete : Method::Other;
    case 7:
      if (name == "OPTIONS") return Method::Options;
      return name == "CONNECT" ? Method::Connect : Method::Other;
    default:
      return Method::Other;
  }
}

// "http://host/path?query". A query right behind the host would need a path of our making: refused.
bool read_absolute_form(RequestHead& head) {
  std::string_view rest = head.target;
  const std::size_t scheme = rest.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view name = rest.substr(0, scheme);
  if (!equal_ignoring_case(name, "http") && !equal_ignoring_case(name, "https")) return false;
  rest.remove_prefix(scheme + 3);
  const std::size_t slash = rest.find('/');
  head.authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) {
    head.path = rest.substr(slash);
  } else {
    // RFC 9112 section 3.2.4: the last proxy turns this OPTIONS into "*".
    head.path = head.method == Method::Options ? "*" : "/";
  }
  return is_authority(head.authority, PortRule::Optional);
}

bool read_target(RequestHead& head) {
  if (head.target.empty()) return false;
  if (head.method == Method::Connect) {
    head.authority = head.target;
    return is_authority(head.target, PortRule::Required);
  }
  head.path = head.target;
  if (head.target.front() == '/') return true;
  if (head.target == "*") return head.method == Method::Options;
  return read_absolute_form(head);
}

// What stands where a space should: the line may be cut short by its end, or hold a bad byte.
LineEnd not_a_space(const char* at, const char* end, const Rejection& otherwise) {
  if (*at == '\r' || *at == '\n') {
    const LineEnd line = end_of_line(at, end);
    return line.next != nullptr ? LineEnd::reject(kBadStartLine) : line;
  }
  return LineEnd::reject(is_value_character(*at) ? otherwise : kControlCharacter);
}

}  // namespace

LineEnd read_request_line(const char* begin, const char* end, RequestHead& head) {
  const char* at = begin;
  while (at != end && is_token_character(*at)) ++at;
  if (at == end) return LineEnd::need_more();
  if (*at != ' ' || at == begin) return not_a_space(at, end, kBadMethod);
  head.method_name = {begin, at};
  head.method = find_method(head.method_name);

  const char* const target = ++at;
  at = skip_target(at, end);
  if (at == end) return LineEnd::need_more();
  if (*at != ' ') return not_a_space(at, end, kBadTarget);
  head.target = {target, at};
  if (!read_target(head)) return LineEnd::reject(kBadTarget);

  const LineEnd version = read_version(at + 1, end, head.version);
  if (version.next == nullptr) return version;
  const LineEnd line = end_of_line(version.next, end);
  if (line.rejection == &kControlCharacter) return LineEnd::reject(kBadVersion);
  return line;
}

}  // namespace baton::proxy::http

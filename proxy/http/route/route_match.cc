#include "proxy/http/route/route_match.h"

#include <algorithm>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

bool value_holds(const HeaderMatch& match, std::string_view value) {
  switch (match.kind) {
    case HeaderMatch::Kind::Present:
      return true;
    case HeaderMatch::Kind::Absent:
      return false;
    case HeaderMatch::Kind::Exact:
      return value == match.text;
    case HeaderMatch::Kind::Prefix:
      return value.starts_with(match.text);
    case HeaderMatch::Kind::Regex:
      return match.regex->matches(value);
  }
  return false;
}

bool path_holds(const PathMatch& match, std::string_view path) {
  if (const auto* const exact = std::get_if<ExactPath>(&match)) return path == exact->path;
  if (const auto* const prefix = std::get_if<PathPrefix>(&match)) {
    return path.starts_with(prefix->prefix);
  }
  if (const auto* const regex = std::get_if<PathRegex>(&match)) return regex->regex.matches(path);
  return true;
}

}  // namespace

bool HeaderMatch::holds(const HeaderMap& headers) const {
  if (kind == Kind::Absent) return headers.find(name) == nullptr;
  if (headers.find(name) == nullptr) return false;  // by its number, if it is a known name
  return std::ranges::any_of(headers, [this](const HeaderField& field) {
    return equal_ignoring_case(field.name(), name) && value_holds(*this, field.value());
  });
}

bool RouteMatch::holds(const RequestHead& head, std::string_view path_without_query) const {
  if (!path_holds(path, path_without_query)) return false;
  if (!methods.empty() && std::ranges::find(methods, head.method_name) == methods.end()) {
    return false;
  }
  return std::ranges::all_of(
      headers, [&head](const HeaderMatch& header) { return header.holds(head.headers); });
}

std::string_view without_query(std::string_view path) { return path.substr(0, path.find('?')); }

}  // namespace baton::proxy::http

// Which requests a route is for. All its conditions must hold; one that is absent always does.
//
// Texts are compared as the client sent them: nothing is decoded, slashes are not merged, dot
// segments are not resolved, so "/a/../b", "/b" and "/%62" are three paths, and what is forwarded
// is what was matched.
// Thread: any; immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proxy/http/codec/message_head.h"
#include "proxy/http/route/regex.h"

namespace baton::proxy::http {

// The path without the query, case-sensitive.
struct ExactPath {
  std::string path;
};
struct PathPrefix {
  std::string prefix;
};
struct PathRegex {
  Regex regex;  // of all of the path
};
using PathMatch = std::variant<std::monostate, ExactPath, PathPrefix, PathRegex>;

// Of several lines with that name one must do. `Absent`: there is none.
struct HeaderMatch {
  enum class Kind : std::uint8_t { Present, Absent, Exact, Prefix, Regex };

  std::string name;
  Kind kind = Kind::Present;
  std::string text;            // Exact, Prefix: case-sensitive
  std::optional<Regex> regex;  // Regex: of all of the value

  bool holds(const HeaderMap& headers) const;
};

struct RouteMatch {
  // "api.example.com"; "*.example.com": anything before that, of one label or more; empty: any. In
  // lower case, without a port.
  std::string host;
  PathMatch path;
  std::vector<std::string> methods;  // empty: any
  std::vector<HeaderMatch> headers;

  // All but the host, which RouteTable looks up.
  bool holds(const RequestHead& head, std::string_view path_without_query) const;
};

// Up to the '?', if there is one.
std::string_view without_query(std::string_view path);

}  // namespace baton::proxy::http

#include "proxy/config/route_match_section.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "proxy/config/http_text.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/one_of_keys.h"
#include "proxy/http/codec/authority.h"
#include "proxy/http/codec/characters.h"
#include "proxy/http/route/route_table.h"

namespace baton::proxy {
namespace {

constexpr std::string_view kHostSyntax =
    R"("example.com", "*.example.com", "192.0.2.1", "[2001:db8::1]", without a port)";

bool is_host(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  return text.size() <= http::RouteTable::kLongestHost &&
         http::is_authority(text, http::PortRule::Optional) && http::host_of(text) == text;
}

std::string read_host(TableReader& section) {
  auto host = section.string("host");
  if (!host) return {};
  if (!is_host(*host)) {
    section.error("host",
                  in_quotes(*host) + " is not a host; allowed: " + std::string(kHostSyntax));
  }
  std::ranges::transform(*host, host->begin(), http::to_lower);
  return *std::move(host);
}

http::PathMatch read_path_match(TableReader& section) {
  constexpr std::array<std::string_view, 3> kKeys{"path", "path_prefix", "path_regex"};
  at_most_one_of(section, kKeys);
  http::PathMatch match;
  if (auto path = section.string("path")) {
    // OPTIONS has "*" as well.
    if (!is_path(*path, Query::Refused) && *path != "*") {
      section.error("path", in_quotes(*path) +
                                R"( is not a path; allowed: "/path", percent-encoded, )"
                                R"(without a query, or "*")");
    }
    match = http::ExactPath{*std::move(path)};
  }
  if (auto prefix = read_path(section, "path_prefix")) match = http::PathPrefix{*std::move(prefix)};
  if (auto regex = read_regex(section, "path_regex")) match = http::PathRegex{*std::move(regex)};
  return match;
}

std::vector<std::string> read_methods(TableReader& section) {
  constexpr std::string_view kAllowed = R"(; allowed: names like "GET", in upper case)";
  std::vector<std::string> methods =
      section.strings("methods").value_or(std::vector<std::string>());
  if (section.has("methods") && methods.empty()) {
    section.error("methods", "names none" + std::string(kAllowed));
  }
  for (std::size_t i = 0; i < methods.size(); ++i) {
    const bool lower = std::ranges::any_of(methods[i], [](char c) { return c >= 'a' && c <= 'z'; });
    if (http::is_token(methods[i]) && !lower) continue;
    section.element_error("methods", i,
                          in_quotes(methods[i]) + " is not a method" + std::string(kAllowed));
  }
  return methods;
}

http::HeaderMatch read_header(TableReader& section) {
  using Kind = http::HeaderMatch::Kind;
  constexpr std::array<std::string_view, 4> kKeys{"exact", "prefix", "regex", "present"};
  http::HeaderMatch match;
  section.require("name", "the name of a header");
  match.name = read_header_name(section, "name").value_or("");
  exactly_one_of(section, kKeys);
  if (auto text = section.string("exact")) {
    match.kind = Kind::Exact;
    match.text = *std::move(text);
  }
  if (auto text = section.string("prefix")) {
    match.kind = Kind::Prefix;
    match.text = *std::move(text);
  }
  if (auto regex = read_regex(section, "regex")) {
    match.kind = Kind::Regex;
    match.regex = *std::move(regex);
  }
  if (const auto present = section.boolean("present")) {
    match.kind = *present ? Kind::Present : Kind::Absent;
  }
  section.finish();
  return match;
}

}  // namespace

http::RouteMatch read_route_match(TableReader& section) {
  http::RouteMatch match;
  match.host = read_host(section);
  match.path = read_path_match(section);
  match.methods = read_methods(section);
  if (auto headers = section.tables("headers", "name")) {
    for (TableReader& header : *headers) match.headers.push_back(read_header(header));
  }
  return match;
}

}  // namespace baton::proxy

#include "proxy/config/route_action_section.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/config/forward_section.h"
#include "proxy/config/http_text.h"
#include "proxy/config/one_of_keys.h"

namespace baton::proxy {
namespace {

constexpr std::array<std::string_view, 4> kActions{"cluster", "clusters", "redirect",
                                                   "direct_response"};

http::RedirectAction read_redirect(TableReader& route) {
  http::RedirectAction action;
  auto section = route.table("redirect");
  if (!section) return action;
  if (const auto status = section->integer("status", 301, 308)) {
    action.status = static_cast<std::uint16_t>(*status);
    constexpr std::array<std::int64_t, 5> kAllowed{301, 302, 303, 307, 308};
    if (std::ranges::find(kAllowed, *status) == kAllowed.end()) {
      section->error("status", std::to_string(*status) +
                                   " is not a redirect; allowed: 301, 302, 303, 307, 308");
    }
  }
  action.scheme = section->choice("scheme", {"http", "https"}).value_or("");
  action.host = read_authority(*section, "host").value_or("");
  action.path = read_path(*section, "path", Query::Allowed).value_or("");
  action.prefix = read_path(*section, "prefix");
  action.strip_query = section->boolean("strip_query").value_or(false);
  constexpr std::array<std::string_view, 2> kPaths{"path", "prefix"};
  at_most_one_of(*section, kPaths);
  if (section->has("prefix") && !route.has("path_prefix") && !route.has("path")) {
    section->error("prefix", "the route matches no prefix; allowed: with path_prefix or path");
  }
  if (!section->has("scheme") && !section->has("host") && !section->has("path") &&
      !section->has("prefix") && !action.strip_query) {
    section->error("",
                   "redirects to where the request was for; allowed: one or more of scheme, "
                   "host, path, prefix, strip_query = true");
  }
  section->finish();
  return action;
}

bool may_have_body(std::int64_t status) { return status != 204 && status != 205 && status != 304; }

http::DirectResponseAction read_direct_response(TableReader& route) {
  http::DirectResponseAction action;
  auto section = route.table("direct_response");
  if (!section) return action;
  section->require("status", "200 to 599");
  const std::int64_t status = section->integer("status", 200, 599).value_or(action.status);
  action.status = static_cast<std::uint16_t>(status);
  action.body = section->string("body").value_or("");
  action.content_type = read_header_value(*section, "content_type").value_or(action.content_type);
  if (!may_have_body(status) && !action.body.empty()) {
    section->error("body", "a response " + std::to_string(status) +
                               " has none; allowed: leave it out, or another status");
  }
  section->finish();
  return action;
}

}  // namespace

RouteAction read_route_action(TableReader& section) {
  const std::string_view action = exactly_one_of(section, kActions);
  // All of them, so that the mistakes of each are told.
  http::ForwardAction forward = read_forward(section);
  http::RedirectAction redirect = read_redirect(section);
  http::DirectResponseAction response = read_direct_response(section);
  if (action == "redirect" || action == "direct_response") {
    refuse_forward_options(section, action);
  }
  if (action == "redirect") return redirect;
  if (action == "direct_response") return response;
  return forward;
}

}  // namespace baton::proxy

#include "proxy/http/route/route.h"

#include <algorithm>
#include <numeric>

namespace baton::proxy::http {
namespace {

// How much of the path a prefix stands for.
std::size_t matched_bytes(const PathMatch& match, std::string_view path) {
  if (const auto* const prefix = std::get_if<PathPrefix>(&match)) return prefix->prefix.size();
  return std::holds_alternative<ExactPath>(match) ? path.size() : 0;
}

// Instead of the first `matched` bytes. "/api" for "/" makes "/api/x" to "/x": "//x" would be the
// name of a host to some.
std::string with_prefix(std::string_view path, std::size_t matched, std::string_view prefix) {
  std::string_view rest = path.substr(matched);
  if (prefix.ends_with('/') && rest.starts_with('/')) rest.remove_prefix(1);
  std::string result;
  result.reserve(prefix.size() + rest.size());
  return result.append(prefix).append(rest);
}

std::string with_regex(std::string_view path, const RegexRewrite& rewrite) {
  const std::string_view bare = without_query(path);
  std::string result = rewrite.regex.replaced(bare, rewrite.substitution);
  if (!result.starts_with('/')) result.insert(result.begin(), '/');
  return result.append(path.substr(bare.size()));
}

// In origin-form: neither OPTIONS *, nor CONNECT.
bool has_path(const RequestHead& head) { return head.path.starts_with('/'); }

void rewrite_path(const RouteMatch& match, const ForwardAction& action, RequestHead& head) {
  if (!has_path(head)) return;
  if (action.prefix_rewrite) {
    const std::size_t matched = matched_bytes(match.path, without_query(head.path));
    head.path = head.headers.keep(with_prefix(head.path, matched, *action.prefix_rewrite));
  } else if (action.regex_rewrite) {
    head.path = head.headers.keep(with_regex(head.path, *action.regex_rewrite));
  }
}

// Without the port that its scheme has anyway, when it is going to have another scheme.
std::string_view authority_for(std::string_view authority, std::string_view from,
                               std::string_view to) {
  const std::string_view port = from == "https" ? ":443" : ":80";
  if (from != to && authority.ends_with(port)) authority.remove_suffix(port.size());
  return authority;
}

std::string redirected_path(const Route& route, const RedirectAction& action,
                            const RequestHead& head) {
  const std::string_view path = has_path(head) ? head.path : std::string_view("/");
  const std::string_view bare = without_query(path);
  const std::string_view query = action.strip_query ? "" : path.substr(bare.size());
  if (!action.path.empty()) {
    const bool has_query = action.path.find('?') != action.path.npos;
    return action.path + std::string(has_query ? "" : query);
  }
  std::string result =
      action.prefix ? with_prefix(bare, matched_bytes(route.match.path, bare), *action.prefix)
                    : std::string(bare);
  return result.append(query);
}

}  // namespace

const WeightedCluster& ForwardAction::choose(std::uint64_t random) const {
  if (clusters.size() == 1) return clusters.front();
  const std::uint64_t sum = std::accumulate(
      clusters.begin(), clusters.end(), std::uint64_t{0},
      [](std::uint64_t total, const WeightedCluster& cluster) { return total + cluster.weight; });
  std::uint64_t left = random % std::max<std::uint64_t>(sum, 1);
  for (const WeightedCluster& cluster : clusters) {
    if (left < cluster.weight) return cluster;
    left -= cluster.weight;
  }
  return clusters.back();
}

void apply_request(const Route& route, RequestHead& head, const EditVariables& variables) {
  if (const ForwardAction* const action = route.forward()) {
    rewrite_path(route.match, *action, head);
    if (!action->host_rewrite.empty()) head.authority = action->host_rewrite;
  }
  route.request_headers.apply(head, variables);
}

void apply_response(const Route& route, ResponseHead& head, const EditVariables& variables) {
  route.response_headers.apply(head, variables);
}

std::string make_redirect_location(const Route& route, const RequestHead& head,
                                   const AskedOrigin& asked) {
  const RedirectAction& action = *route.redirect();
  std::string path = redirected_path(route, action, head);
  const std::string_view new_scheme = action.scheme.empty() ? asked.scheme : action.scheme;
  const std::string_view authority = action.host.empty()
                                         ? authority_for(asked.authority, asked.scheme, new_scheme)
                                         : std::string_view(action.host);
  // A request without a host: the client completes the path. "//x" would be a host of its own.
  if (authority.empty()) {
    while (path.starts_with("//")) path.erase(0, 1);
    return path;
  }
  std::string location;
  location.reserve(new_scheme.size() + 3 + authority.size() + path.size());
  return location.append(new_scheme).append("://").append(authority).append(path);
}

}  // namespace baton::proxy::http

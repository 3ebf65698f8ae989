// One route: which requests it is for, and what becomes of them.
// Thread: any; immutable once in a RouteTable.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proxy/http/codec/message_head.h"
#include "proxy/http/route/hash_policy.h"
#include "proxy/http/route/header_edits.h"
#include "proxy/http/route/regex.h"
#include "proxy/http/route/retry_policy.h"
#include "proxy/http/route/route_match.h"

namespace baton::proxy::http {

struct WeightedCluster {
  std::string name;
  std::uint32_t weight = 1;
  // Its place in RouteTable::clusters(), so that a worker looks names up once. Set by the table.
  std::uint32_t index = 0;
};

struct RegexRewrite {
  Regex regex;
  std::string substitution;
};

// To an upstream.
struct ForwardAction {
  std::vector<WeightedCluster> clusters;      // never empty; the sum of the weights is above 0
  std::optional<std::string> prefix_rewrite;  // instead of the matched prefix, or path
  std::optional<RegexRewrite> regex_rewrite;  // of the path without the query
  std::string host_rewrite;                   // empty: the client's
  // From the end of the request to the head of the response, all attempts together, and between two
  // pieces of its body. Absent: never.
  std::optional<std::chrono::milliseconds> timeout = std::chrono::seconds(15);
  // Instead of the listener's stream_idle. Absent: that; 0: never.
  std::optional<std::chrono::milliseconds> idle_timeout;
  std::optional<RetryPolicy> retry;
  std::optional<HashPolicy> hash;

  // In proportion to the weights; any number will do.
  const WeightedCluster& choose(std::uint64_t random) const;
};

// To another URL. What is empty stays as the client asked.
struct RedirectAction {
  std::uint16_t status = 301;  // 301, 302, 303, 307, 308
  std::string scheme;
  std::string host;                   // with a port, if it is to have one
  std::string path;                   // all of it, perhaps with a query
  std::optional<std::string> prefix;  // instead of the matched prefix; not with `path`
  bool strip_query = false;
};

// By the proxy itself.
struct DirectResponseAction {
  std::uint16_t status = 200;
  std::string body;  // with variables, to be replaced in bind() (proxy/text/variables.h)
  std::string content_type = "text/plain";
};

struct Route {
  std::string name;         // for the access log; may be empty
  std::uint32_t index = 0;  // its place in RouteTable::routes(). Set by the table.
  RouteMatch match;
  std::variant<ForwardAction, RedirectAction, DirectResponseAction> action;
  HeaderEdits request_headers;   // of what is forwarded
  HeaderEdits response_headers;  // of what is answered, by whomever

  const ForwardAction* forward() const { return std::get_if<ForwardAction>(&action); }
  const RedirectAction* redirect() const { return std::get_if<RedirectAction>(&action); }
  const DirectResponseAction* direct_response() const {
    return std::get_if<DirectResponseAction>(&action);
  }
};

// Path, host and headers as the upstream is to see them; once a request, before the first attempt.
// `head` then borrows texts of the route: the table outlives it.
void apply_request(const Route& route, RequestHead& head, const EditVariables& variables);
// The same for what goes to the client.
void apply_response(const Route& route, ResponseHead& head, const EditVariables& variables);

// Where the client has sent its request, as far as it knows.
struct AskedOrigin {
  std::string_view scheme;     // "http", "https"
  std::string_view authority;  // may be empty
};

// The value of Location for a route with a redirect().
std::string make_redirect_location(const Route& route, const RequestHead& head,
                                   const AskedOrigin& asked);

}  // namespace baton::proxy::http

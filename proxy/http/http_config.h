// What an HTTP listener is configured to do beside its address: limits, timeouts, routes, filters.
// Thread: any; immutable once load_config() has returned it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/http/access_log/access_log_config.h"
#include "proxy/http/codec/message_limits.h"

namespace baton::proxy::http {

class HttpFilterFactory;  // proxy/http/filter/http_filter.h
class RouteTable;         // proxy/http/route/route_table.h

struct HttpTimeouts {
  using Time = std::optional<std::chrono::milliseconds>;  // absent: never

  Time header = std::chrono::seconds(15);      // from a request's first byte to the end of its head
  Time request = std::nullopt;                 // ... to the end of its body
  Time keep_alive = std::chrono::seconds(75);  // between two requests, and before the first
  Time stream_idle = std::chrono::minutes(5);  // without a byte either way, during a request
  // For an answer to begin when the client has ended its side: it may want that, or be gone.
  Time half_close = std::chrono::seconds(1);
};

// What X-Forwarded-For, -Proto and -Host of the client are worth.
struct ForwardedConfig {
  // How many proxies in front of this one may be believed: the client's address is the one that the
  // outermost of them saw. 0: the peer of the socket is the client, and what it says is replaced.
  std::uint32_t trusted_hops = 0;
};

struct HttpConfig {
  MessageLimits limits;
  HttpTimeouts timeouts;
  ForwardedConfig forwarded;
  std::uint32_t max_requests_per_connection = 0;   // 0: no limit
  std::vector<std::string> upgrades{"websocket"};  // protocols that may be tunnelled; lower case
  bool connect = false;                            // whether CONNECT may be tunnelled
  std::optional<AccessLogConfig> access_log;
  std::vector<std::shared_ptr<const HttpFilterFactory>> filters;  // in order, ahead of the router
  std::shared_ptr<const RouteTable> routes;
};

}  // namespace baton::proxy::http

// One request and its response as statistics, the access log and filters see it.
// Thread: its worker's; a plain value.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "proxy/network/coarse_clock.h"
#include "shared/os/socket_address.h"

namespace baton::proxy {
struct Endpoint;  // proxy/upstream/endpoint.h
}

namespace baton::proxy::http {

// Why a response is what it is, when that is not the upstream's doing alone. Several may hold.
// Names as in Envoy's access log, so that existing tooling knows them.
enum class ResponseFlag : std::uint32_t {
  NoRoute = 1U << 0,                  // NR
  NoHealthyUpstream = 1U << 1,        // UH
  UpstreamConnectFailure = 1U << 2,   // UF
  UpstreamOverflow = 1U << 3,         // UO: a circuit breaker
  UpstreamTimeout = 1U << 4,          // UT: the route's timeout
  UpstreamReset = 1U << 5,            // UC: the upstream closed or reset in the middle
  UpstreamProtocolError = 1U << 6,    // UPE
  RetryLimitExceeded = 1U << 7,       // URX
  DownstreamTermination = 1U << 8,    // DC: the client went away
  DownstreamProtocolError = 1U << 9,  // DPE: the request was refused for its framing
  RateLimited = 1U << 10,             // RL
  Denied = 1U << 11,                  // UAEX: a filter refused it
  FaultInjected = 1U << 12,           // FI
  DelayInjected = 1U << 13,           // DI
  StreamIdleTimeout = 1U << 14,       // SI
  RequestTimeout = 1U << 15,          // RT: header or request timeout of the client
  Drained = 1U << 16,                 // DT: cut at the drain deadline
};

class ResponseFlags {
 public:
  void set(ResponseFlag flag) { bits_ |= static_cast<std::uint32_t>(flag); }
  bool has(ResponseFlag flag) const { return (bits_ & static_cast<std::uint32_t>(flag)) != 0; }
  bool empty() const { return bits_ == 0; }
  std::uint32_t bits() const { return bits_; }
  static ResponseFlags from_bits(std::uint32_t bits) {
    ResponseFlags flags;
    flags.bits_ = bits;
    return flags;
  }

 private:
  std::uint32_t bits_ = 0;
};

struct StreamInfo {
  std::chrono::system_clock::time_point started;     // wall clock, for the log
  std::chrono::steady_clock::time_point started_at;  // for durations
  std::chrono::microseconds upstream_time{0};        // from the request sent to the response's head
  std::chrono::microseconds duration{0};             // of it all; set at its end
  os::SocketAddress client;                          // the real one, behind trusted proxies
  std::uint64_t received_bytes = 0;                  // of the request's body
  std::uint64_t sent_bytes = 0;                      // of the response's body
  std::uint16_t status = 0;                          // 0: none was sent
  std::uint32_t attempts = 0;                        // at the upstream
  ResponseFlags flags;
  std::string_view flag_detail;              // one word: why the codec refused; static
  std::string_view cluster;                  // of the route; empty: none
  std::string_view route;                    // its name
  std::shared_ptr<const Endpoint> endpoint;  // the last one tried
};

}  // namespace baton::proxy::http

// What the access log is to say of the request that has opened a tunnel (Upgrade, CONNECT) when the
// tunnel ends: much later, and perhaps in another process.
//
// Thread: its worker's; a plain value, all texts are its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "proxy/http/codec/message_head.h"
#include "proxy/http/stream_info.h"

namespace baton::proxy::http {

struct TunnelRecord {
  std::chrono::system_clock::time_point started;
  std::chrono::steady_clock::time_point started_at;  // goes on in other processes
  std::chrono::microseconds upstream_time{0};
  os::SocketAddress client;           // the request's, which may name another than the connection's
  std::uint64_t received_before = 0;  // bytes of the client's leg ahead of the tunnel
  std::uint64_t sent_before = 0;
  std::uint16_t status = 0;
  std::uint32_t attempts = 0;
  ResponseFlags flags;
  Version version = Version::Http11;
  std::string route;
  std::string method;
  std::string target;
  std::string path;
  std::string authority;
  std::string request_lines;  // "name: value\n" each
  std::string response_lines;

  // Of each head's lines: those behind are not kept.
  static constexpr std::size_t kMostLineBytes = std::size_t{16} * 1024;
};

TunnelRecord make_tunnel_record(const StreamInfo& stream, const RequestHead& request,
                                const ResponseHead& response);

// A record as AccessLogFormat::render() takes it. Borrows the record.
struct RecordedTunnel {
  explicit RecordedTunnel(const TunnelRecord& record);

  StreamInfo stream;  // cluster, endpoint, bytes and duration are for the caller to add
  RequestHead request;
  ResponseHead response;
};

}  // namespace baton::proxy::http

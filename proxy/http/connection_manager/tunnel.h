// What a client's connection is after Upgrade or CONNECT: bytes both ways as they come, an idle
// timeout, and one line in the access log when it ends, in whichever process that is.
//
// Thread: its worker's. Owns: the byte proxy, what the log will say. Borrows: context, callbacks.
#pragma once

#include <memory>

#include "proxy/filter/network_filter.h"
#include "proxy/http/access_log/tunnel_record.h"
#include "proxy/http/connection_manager/http_context.h"
#include "proxy/tcp/tcp_proxy.h"

namespace baton::proxy::http {

class Tunnel final {
 public:
  // `cluster` may be null for one that will restore().
  Tunnel(NetworkFilterCallbacks& callbacks, HttpContext& context, Cluster* cluster);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  struct Opening {
    UpstreamRequest::Tunnel upstream;
    TimeoutQueue* idle_timeout;            // null: for ever
    std::unique_ptr<TunnelRecord> record;  // null: nothing is logged
    std::size_t waiting_bytes;             // received from the client, and part of the tunnel
  };
  // The head of the response has been written.
  void open(Opening opening);

  // The rest as in NetworkFilter.
  void on_data(Buffer& data, EndOfStream end);
  void on_downstream_full() { bytes_.on_downstream_full(); }
  void on_downstream_drained() { bytes_.on_downstream_drained(); }
  void on_close(CloseMode mode, CloseCause cause);
  bool freeze();
  void thaw();
  MoveDetails move_details() const;
  bool restore(const MoveDetails& details);

 private:
  void watch();
  void on_idle();
  ResponseFlags flags(CloseMode mode, CloseCause cause) const;
  void write_log(CloseMode mode, CloseCause cause) const;

  NetworkFilterCallbacks& callbacks_;
  HttpContext& context_;
  TcpProxy bytes_;
  TimeoutQueue* idle_queue_ = nullptr;
  Timeout idle_timeout_;
  std::uint32_t waiting_then_ = 0;  // bytes that were not taken when it seemed idle
  bool seems_idle_ = false;
  bool idle_ = false;  // it ends because nothing has passed
  std::shared_ptr<const TunnelRecord> record_;
};

}  // namespace baton::proxy::http

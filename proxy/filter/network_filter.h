// The extension point of the byte path. A chain of network filters stands between a client's
// connection and whatever the last of them, the terminal filter, does with the bytes:
//
//   client --on_data--> filter 0 --on_data--> filter 1 ... --on_data--> terminal filter
//   client <--on_write- filter 0 <--on_write- filter 1 ... <---write()-- terminal filter
//
// A filter type is a NetworkFilterFactory made from its configuration. Before the first connection
// the main thread bind()s it once for each worker and listener; what bind() returns makes one
// NetworkFilter a connection. docs/extending.md has a worked example.
//
// Thread: a factory is immutable and shared by all threads. bind() runs on the main thread before
// the worker starts; everything it returns, and every filter, belongs to that worker.
#pragma once

#include <ev++.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/network/buffer.h"
#include "shared/os/socket_address.h"

namespace baton::proxy {

class ClusterSet;       // proxy/upstream/cluster_set.h
class SharedState;      // proxy/upstream/shared_state.h
class StatsLane;        // proxy/stats/stats_store.h
class StatsStore;       // proxy/stats/stats_store.h
class DrainState;       // proxy/worker/drain_state.h
struct ListenerConfig;  // proxy/config/config.h
struct TunnelState;     // proxy/network/tunnel_state.h
namespace http {
class AccessLogs;     // proxy/http/access_log/access_logs.h
class HttpWorker;     // proxy/http/http_worker.h
struct TunnelRecord;  // proxy/http/access_log/tunnel_record.h
}  // namespace http

enum class FilterStatus : std::uint8_t {
  Continue,
  // The filters after this one are not called. What is left in the buffer is kept for this filter:
  // it sees it again with the bytes that follow, or passes it on by continue_reading() (on_write:
  // continue_writing()). When a watermark's worth is kept, the source is not read any more.
  StopIteration,
};

enum class CloseMode : std::uint8_t {
  Linger,  // what was written goes out, then the end; input is discarded until the client's own
  Now,     // close(2): what the kernel has is still delivered
  Reset,   // so that the client cannot mistake what it has for the whole
};

// Who ends a connection.
enum class CloseCause : std::uint8_t {
  Proxy,   // a filter, or an idle timeout
  Client,  // its connection has failed: a reset, as a rule
  Cut,     // the end of the drain or of the process
};

// One filter's handle on its connection.
class NetworkFilterCallbacks {
 public:
  virtual const os::SocketAddress& remote_address() const = 0;
  virtual os::SocketAddress local_address() const = 0;  // a system call
  virtual ev::loop_ref loop() const = 0;

  // Goes on after a StopIteration with the next filter; on_new_connection() of filters that have
  // not had it yet comes first. Not from within the filter's own on_...() call: return Continue
  // there.
  virtual void continue_reading() = 0;
  virtual void continue_writing() = 0;

  // Sends to the client through the filters ahead of this one; takes all bytes of `data`, and
  // nothing may be written after EndOfStream::Yes. What cannot be sent at once is kept;
  // on_downstream_full() tells when that is too much.
  virtual void write(Buffer& data, EndOfStream end) = 0;
  // The same for bytes that lie elsewhere; the end may follow by the other one.
  virtual void write(std::string_view data) = 0;

  // The terminal filter's back-pressure: nothing is read from the client in between.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;

  // The connection ends. The filter lives until its callback has returned, but is not called again
  // (except on_close()). The first call decides.
  virtual void close(CloseMode mode) = 0;

  // False: the next generation has refused this connection.
  virtual bool may_move() const = 0;
  // The connection is between two messages, and waits there to be moved: the filter reads nothing
  // until thaw(). For when the worker's DrainState says Moving::Now. False: it need not wait.
  virtual bool board() = 0;
  // All that has to travel when the connection moves to another process; for terminal filters.
  virtual TunnelState& tunnel() = 0;
  // The worker's shared receive buffer: empty between two events.
  virtual Buffer& scratch() = 0;

 protected:
  ~NetworkFilterCallbacks() = default;
};

// What a connection is that moves to another process, beside its TunnelState.
enum class MoveKind : std::uint8_t {
  None,  // it does not move
  TcpTunnel,
  HttpIdle,    // between two requests
  HttpTunnel,  // after Upgrade or CONNECT
};

// What the terminal filter adds to that.
struct MoveDetails {
  // One that has received more than it has read does not move.
  static constexpr std::size_t kMostUnreadBytes = std::size_t{128} * 1024;

  MoveKind kind = MoveKind::None;
  std::string cluster = {};  // of tunnels
  os::SocketAddress endpoint = {};
  std::uint32_t requests = 0;  // HTTP: how many it has carried
  std::string unread = {};     // HttpIdle: received from the client, of later requests
  // Of HttpTunnel. 0: for ever; absent: not known.
  std::optional<std::chrono::milliseconds> idle_timeout = {};
  std::shared_ptr<const http::TunnelRecord> tunnel = {};  // null: nothing is logged
};

class NetworkFilter {
 public:
  virtual ~NetworkFilter() = default;

  virtual FilterStatus on_new_connection() { return FilterStatus::Continue; }
  // A filter may look at, change, consume or add bytes. A terminal filter consumes them all. With
  // EndOfStream::Yes (the client has half-closed) `data` may be empty, and no call follows.
  virtual FilterStatus on_data(Buffer& /*data*/, EndOfStream /*end*/) {
    return FilterStatus::Continue;
  }
  // Bytes on their way to the client.
  virtual FilterStatus on_write(Buffer& /*data*/, EndOfStream /*end*/) {
    return FilterStatus::Continue;
  }

  // To the terminal filter: a watermark's worth waits to be sent to the client (may be repeated) /
  // what waited, or the end of stream, has gone out.
  virtual void on_downstream_full() {}
  virtual void on_downstream_drained() {}

  // To the terminal filter: whether the connection may end here without a loss to anybody.
  virtual bool between_messages() const { return false; }
  // Nothing has passed either way for the listener's idle timeout. False: then it may go on, for
  // reasons that only the terminal filter knows; else it is closed.
  virtual bool ends_when_idle() { return true; }

  // The connection ends, once; whatever the filter keeps open goes the same way.
  virtual void on_close(CloseMode /*mode*/, CloseCause /*cause*/) {}

  // Stops every watcher and timer of this filter until thaw(), so that the connection can move to
  // another process. False: it cannot move now, and nothing has changed. A filter that keeps no
  // state for a connection answers true.
  virtual bool freeze() { return false; }
  // Also to one that waits since board(), and has not been frozen.
  virtual void thaw() {}

  // To the terminal filter. While frozen: what it is.
  virtual MoveDetails move_details() const { return {}; }
  // Instead of on_new_connection(): goes on with a connection that was frozen in another process;
  // its TunnelState is there already. Frozen here, too, until thaw(): no I/O. False: it cannot.
  virtual bool restore(const MoveDetails& /*details*/) { return false; }
};

// Makes the filter of one connection; `callbacks` outlives the filter.
using MakeNetworkFilter =
    std::function<std::unique_ptr<NetworkFilter>(NetworkFilterCallbacks& callbacks)>;

// What a filter may use, for one listener on one worker. Everything referred to outlives the
// worker.
struct FilterContext {
  std::uint64_t generation = 0;
  const std::string& version;
  const ListenerConfig& listener;
  StatsStore& stats;  // resolve metrics by name here, in bind(),
  StatsLane& lane;    // and turn them into this worker's handles
  ClusterSet& clusters;
  SharedState* shared = nullptr;  // rate limits and health, shared with other generations
  DrainState* drain = nullptr;    // this worker's
  http::HttpWorker* http = nullptr;
  http::AccessLogs* access_logs = nullptr;
};

class NetworkFilterFactory {
 public:
  virtual ~NetworkFilterFactory() = default;
  // The result may refer to the factory, which outlives it.
  virtual MakeNetworkFilter bind(const FilterContext& context) const = 0;
};

}  // namespace baton::proxy

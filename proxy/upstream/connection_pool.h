// Connections to the endpoints of one cluster that wait for the next request, of one worker.
//
//   put() ─► idle ─ take() ────────────► the caller's again
//             └─ closed by the endpoint, input nobody asked for, idle timeout, limit ─► closed here
//
// The one that was used last is taken first, so that those beyond the need grow old and go. An idle
// connection costs its socket and a node of about 200 bytes; no buffer.
//
// Thread: its worker's. Owns: the idle connections.
// Invariant: whatever is here was open and silent when the loop last looked.
#pragma once

#include <ev++.h>

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/upstream/upstream_socket.h"

namespace baton::proxy {

class ConnectionPool {
 public:
  // `config` outlives the pool.
  ConnectionPool(ev::loop_ref loop, const IdlePoolConfig& config);
  ~ConnectionPool();
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  // A connection to this endpoint's address, for the caller to read_by(); null: there is none. It
  // may have been closed by the endpoint in this very moment, as any may.
  std::unique_ptr<UpstreamSocket> take(const Endpoint& endpoint);
  // Keeps it for the next request: all of the last answer has been read, and it is not paused. Over
  // the limit, the one that has been idle longest is closed for it.
  void put(std::unique_ptr<UpstreamSocket> socket);

  std::size_t size() const { return idle_.size(); }
  // Closes those to an endpoint's address / all of them.
  void close(const Endpoint& endpoint);
  void close_all();
  // Takes all of them out, say for a move to the next generation.
  std::vector<std::unique_ptr<UpstreamSocket>> take_all();

 private:
  struct Idle;
  using Place = std::list<Idle>::iterator;
  struct TextHash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  std::unique_ptr<UpstreamSocket> remove(Place idle);
  void on_timer(ev::timer& timer, int events) noexcept;
  void arm_timer();

  ev::loop_ref loop_;
  const IdlePoolConfig& config_;
  std::list<Idle> idle_;  // the longest idle first
  // By the bytes of the address; the most recent one last. Empty ones go with the timer.
  std::unordered_map<std::string, std::vector<Place>, TextHash, std::equal_to<>> by_address_;
  ev::timer timer_;
};

}  // namespace baton::proxy

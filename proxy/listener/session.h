// A client's connection: its tunnel state, its downstream leg and its filter chain.
//
//   Open ── close(Linger) ─► Lingering ── client closed, or time is up ─► Closed
//     └──── close(Now), close(Reset), cut ──────────────────────────────────┘
//
// A session never destroys itself: once Closed it tells its owner, which deletes it at the end of
// the loop's iteration, when no callback of it is on the stack any more.
//
// Thread: its worker's. Owns: both sockets (in the state), filters, timers. Borrows: the context.
// Invariant: nothing but the watchers, the timers and the filters' own state is outside
// TunnelState.
#pragma once

#include <boost/intrusive/list_hook.hpp>
#include <ev++.h>

#include <chrono>
#include <optional>
#include <span>

#include "proxy/filter/filter_chain.h"
#include "proxy/listener/listener_metrics.h"
#include "proxy/network/connection.h"
#include "proxy/network/tunnel_state.h"

namespace baton::proxy {

class Session final : public boost::intrusive::list_base_hook<>,
                      private FilterChainHost,
                      private ConnectionSink {
 public:
  class Owner {
   public:
    virtual void on_session_closed(Session& session) = 0;
    // It has stopped between two messages so that it can be moved.
    virtual void on_session_boards(Session& session) = 0;
    // awaits_nothing() of it holds.
    virtual void on_session_awaits_nothing(Session& session) = 0;

   protected:
    ~Owner() = default;
  };

  // What all sessions of one listener on one worker share.
  struct Context {
    ev::loop_ref loop;
    Buffer& scratch;
    std::span<const MakeNetworkFilter> filters;
    const ListenerStats& stats;
    std::optional<std::chrono::milliseconds> idle_timeout;
    Owner& owner;
  };

  Session(const Context& context, os::UniqueFd socket, const os::SocketAddress& client);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // One that has come from another process; restore() before anything else.
  Session(const Context& context, TunnelState state);

  void start();
  // Instead of start(): frozen until thaw(). False: it cannot go on here; the sockets are to be
  // closed by destroying this, which nobody on the other side notices.
  bool restore(const MoveDetails& details);
  // While frozen.
  MoveDetails move_details() const { return chain_.move_details(); }
  // It was offered to the next generation, which does not want it.
  bool stays() const { return stays_; }
  void set_stays(bool stays) { stays_ = stays; }
  // It has stopped to be moved: to be frozen soon, or else told to go on.
  bool boards() const { return boards_; }
  void go_on();
  // Ends it for a reason of ours, visibly so to both peers; counts it as cut unless the exchange
  // was complete.
  void cut();

  // Stops every watcher and timer and takes both sockets out of epoll; false: cannot be moved now,
  // and nothing has changed. While frozen, state() may be read and changed freely.
  bool freeze();
  void thaw();
  TunnelState& state() { return state_; }

  // The loop would not tell that the client has gone: client_watch.h.
  bool awaits_nothing() const { return phase_ == Phase::Open && downstream_.awaits_nothing(); }
  void client_gone() { on_failed(); }
  bool client_watched() const { return client_watched_; }
  void set_client_watched(bool watched) { client_watched_ = watched; }

 private:
  enum class Phase : std::uint8_t { Open, Lingering, Closed };

  // FilterChainHost
  const os::SocketAddress& remote_address() const override { return state_.client; }
  os::SocketAddress local_address() const override;
  ev::loop_ref loop() const override { return context_.loop; }
  TunnelState& tunnel() override { return state_; }
  bool may_move() const override { return !stays_; }
  bool board() override;
  Buffer& scratch() override { return context_.scratch; }
  void send_downstream(Buffer& data, EndOfStream end) override;
  void send_downstream(std::string_view data) override;
  bool downstream_full() const override { return downstream_.full(); }
  void pause_reading() override {
    downstream_.pause(PauseReason::Filter);
    watch_client();
  }
  void resume_reading() override { downstream_.resume(PauseReason::Filter); }
  void pause_for_hold() override {
    downstream_.pause(PauseReason::FilterHold);
    watch_client();
  }
  void resume_after_hold() override { downstream_.resume(PauseReason::FilterHold); }
  void close(CloseMode mode) override { close(mode, CloseCause::Proxy); }
  // ConnectionSink, of the downstream
  void on_received(Buffer& data, EndOfStream end) override;
  void on_failed() override;
  void on_write_failed(int error) override;
  void on_flushed() override;

  void close(CloseMode mode, CloseCause cause);
  void watch_client();
  bool sends_the_last();
  bool takes_more(std::uint32_t waiting);
  void begin_linger();
  void finish(CloseMode mode);
  void start_idle_timer();
  void on_timer(ev::timer& timer, int events);
  void on_idle_timer();
  void on_linger_timer();

  const Context& context_;
  TunnelState state_;
  Connection downstream_;
  FilterChain chain_;
  // One timer for all: idle while Open, the bound of lingering after.
  ev::timer timer_;
  // While lingering: when the end was sent, and before that, when the client last took something.
  CoarseClock::time_point end_sent_;
  std::uint32_t waiting_then_ = 0;  // bytes that were not taken when it was looked at last
  Phase phase_ = Phase::Open;
  bool seems_idle_ : 1 = false;
  bool stays_ : 1 = false;
  bool boards_ : 1 = false;
  bool client_watched_ : 1 = false;
};

}  // namespace baton::proxy

// Hands a worker's connections to its counterparts in the next generation, in slices, so that
// neither loop stalls: one slice at a time, to each of them in turn.
//
//   for each connection:
//     RUN ─ freeze ─► FROZEN ─ prepare ─► OFFERED ─ accepted ─► commit ─► closed here, running
//     there
//      ▲                                     │ rejected: stays for good
//      └─────────────────────────────────────┴ new died, does not answer: abort, taken back
//
// A write is never done by both. This side does no I/O on a connection from freeze() on; it goes on
// only if new has not accepted, or after an abort, which reaches new ahead of anything else that
// could make it start: a commit, or this process's death (a channel that merely closes is none, and
// one that this side ends has the abort as its last words).
// The other side does no I/O before that.
//
// What cannot move now (a request in progress, a connect) is looked at again now and then. A
// connection that comes to its boundary boards: it waits there and is in the next slice. While new
// takes long to answer none does, and those that wait go on here.
//
// Idle connections to endpoints go ahead of everything, so that they are there when the first
// request comes; one that new has no use for is closed.
//
// A later generation may take the place of that at the other end: then nothing more is offered to
// this one, and what it has been offered is settled.
//
// New that does not answer in time gets no more until it does; one that has no descriptors left is
// asked again later.
//
// Thread: its worker's. Owns: the channels, connections on their way. Borrows: listeners, pools,
// counters.
#pragma once

#include <ev++.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "proto/channel.h"
#include "proto/move.pb.h"
#include "proxy/http/http_worker.h"
#include "proxy/listener/active_listener.h"
#include "proxy/move/move_counters.h"
#include "proxy/move/move_hooks.h"
#include "proxy/network/coarse_clock.h"
#include "proxy/worker/drain_state.h"

namespace baton::proxy {

class Departures {
 public:
  using Listeners = std::vector<std::unique_ptr<ActiveListener>>;

  struct Options {
    ev::loop_ref loop;
    std::vector<os::UniqueFd> channels;  // to workers of new, one or more
    const Listeners& listeners;
    http::HttpWorker& http;
    MoveCounters& counters;
    DrainState& drain;
    const MoveHooks& hooks;
    std::function<void(Departures&)> settled;  // after retire(); may destroy this
  };

  explicit Departures(Options options);
  ~Departures();
  Departures(const Departures&) = delete;
  Departures& operator=(const Departures&) = delete;

  // Offers nothing more; from here on whether connections move is for others to say. Settled may be
  // called at once.
  void retire();

  // What can move is offered at once, and not only what has just boarded. `done` is called when
  // nothing of that is left, or new does not answer, or after kLastTime; or when asked again.
  void finish(std::function<void()> done);

  // At most so many in one message, and as many idle ones to endpoints: three descriptors for both
  // of a message's 253.
  // Fewer if not even that would go to each counterpart.
  static constexpr std::size_t kLargestBatch = 32;
  static constexpr std::chrono::milliseconds kAnswerTime{2000};
  // An answer takes a round trip between two workers; who boards waits no longer than this.
  static constexpr std::chrono::milliseconds kPromptTime{50};
  static constexpr std::chrono::milliseconds kLastTime{1000};

 private:
  struct Traveller {
    ActiveListener* listener;
    Session* session;
  };
  struct TravellingUpstream {
    http::UpstreamPool* pool;
    http::UpstreamConnection* connection;
  };
  using Answer = std::expected<proto::MoveVerdicts, proto::CallError>;

  // Of the slice that is on its way, until the next one.
  proto::Channel& channel() { return channels_[turn_]; }
  void pass();
  void share_out();
  void begin_to_look();
  void on_boarding();
  void on_slow_answer();
  void finished();
  void take_out_upstreams();
  void collect_connections(proto::MoveBatch& batch, std::vector<int>& fds);
  bool collect(ActiveListener& listener, std::size_t& unseen, proto::MoveBatch& batch,
               std::vector<int>& fds);
  void offer(proto::MoveBatch& batch, std::span<const int> fds);
  bool waiting() const { return !travellers_.empty() || !upstreams_.empty(); }
  void on_answer(const Answer& answer);
  void on_failure(const proto::CallError& error);
  void settle(const proto::MoveVerdicts& verdicts);
  void settle_upstreams(std::span<const int> verdicts);
  void take_all_back();
  void abort();
  proto::MoveDecision decision() const;  // on the slice that is on its way
  void ask_for_life();
  void set_moving(Moving moving);
  void end();

  const Listeners& listeners_;
  http::HttpWorker& http_;
  MoveCounters& counters_;
  DrainState& drain_;
  const MoveHooks& hooks_;
  std::function<void(Departures&)> settled_;
  // Offered, no answer yet; in this order in the batch.
  std::vector<Traveller> travellers_;
  std::vector<TravellingUpstream> upstreams_;
  bool upstreams_travel_ = true;  // new knows what they are
  std::uint64_t batch_ = 0;
  std::size_t batch_size_ = kLargestBatch;  // less after a failure, until it goes well again
  // The most of either kind in a slice, so that each counterpart gets some of them.
  std::size_t share_ = kLargestBatch;
  std::size_t upstream_share_ = kLargestBatch;
  // Slices look at all connections in turn, not only at those that board; per listener, how many at
  // the front of its list none has looked at yet.
  bool looking_ = false;
  std::vector<std::size_t> unseen_;
  CoarseClock::time_point look_again_;  // at all of them
  bool asks_for_life_ = false;
  ev::tstamp pause_seconds_ = 0;  // ahead of the next batch, once new has shown that it lives
  bool over_ = false;             // nobody is offered any more
  bool retired_ = false;          // ... and another one offers
  ev::timer next_;
  ev::timer prompt_;
  ev::timer last_time_;
  std::function<void()> finished_;  // finish()
  std::deque<proto::Channel> channels_;
  std::size_t turn_ = 0;  // which has had the last slice
};

}  // namespace baton::proxy

// The requests one side has sent and what becomes of them: their ids, deadlines and reply handlers.
// Thread: its channel's. No clock and no socket: the caller says what time it is.
// Invariants: an id is open or late, never both, and is not given again while it is either; a
// handler has left the table, or is held by the caller too, before the caller runs it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "proto/channel.h"

namespace baton::proto {

class CallTable {
 public:
  using Handler = std::shared_ptr<Channel::RawReplyHandler>;
  using TimePoint = std::chrono::steady_clock::time_point;
  // How many requests past their deadline are remembered, so that their answers are known as late.
  // A peer that leaves more unanswered has lost the right to answer.
  static constexpr std::size_t kMaxLate = 1024;

  // Zero is no deadline. Returns the request's id, never 0.
  std::uint32_t add(std::uint16_t kind, Channel::RawReplyHandler handler,
                    std::chrono::milliseconds deadline, TimePoint now);

  enum class Match {
    Open,     // a request waits for it
    Late,     // its deadline has passed: to be ignored
    Unknown,  // never asked, answered before, or of another kind
  };
  struct Answer {
    Match match = Match::Unknown;
    Handler handler;  // with Open
  };
  // A reply has come: a partial one restarts the deadline, a final one ends the request.
  Answer answer(std::uint32_t id, std::uint16_t kind, bool partial, TimePoint now);

  // The same for one that has come but cannot be used: it ends the request, and what follows a
  // partial one is late.
  Answer answer_lost(std::uint32_t id, std::uint16_t kind, bool partial, TimePoint now);

  // Goes on where a program before it, of the same channel, was: up to `last_id` all are late.
  void go_on_after(std::uint32_t last_id) { last_id_ = inherited_ = last_id; }
  std::uint32_t last_id() const { return last_id_; }

  struct Expired {
    std::uint32_t id;
    Handler handler;
  };
  // Takes the request whose deadline passed first, if one has; its answer is a late one from now
  // on.
  std::optional<Expired> take_due(TimePoint now);
  std::optional<TimePoint> next_due() const;

  // Takes a request that was never sent, so that no answer can come; nullptr: not open.
  Handler take(std::uint32_t id);
  // Takes every open request, in the order they were made.
  std::vector<Handler> take_all();

 private:
  struct Call {
    std::uint16_t kind = 0;
    Handler handler;
    std::chrono::milliseconds deadline{0};
    TimePoint due;
    std::uint64_t order = 0;
  };
  struct LateCall {
    std::uint32_t id;
    std::uint16_t kind;
  };

  void remember_late(std::uint32_t id, std::uint16_t kind);
  void start_deadline(std::uint32_t id, Call& call, TimePoint now);
  std::deque<LateCall>::iterator find_late(std::uint32_t id);

  std::map<std::uint32_t, Call> open_;
  std::set<std::pair<TimePoint, std::uint32_t>> due_;  // of the open ones that have a deadline
  std::deque<LateCall> late_;                          // oldest first
  std::uint32_t last_id_ = 0;
  std::uint32_t inherited_ = 0;
  std::uint64_t made_ = 0;
};

}  // namespace baton::proto

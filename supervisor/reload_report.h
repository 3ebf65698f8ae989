// One reload as those who wait for it see it: phases with their times as they pass, then how it
// ended. Also its record for `status`.
//
// Thread: the supervisor's. Owns: what is needed to answer. Source: proto/control.proto.
// Invariant: a client that waits is answered exactly once; one that has gone is not missed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "proto/channel.h"
#include "proto/control.pb.h"
#include "supervisor/move_count.h"
#include "supervisor/state.h"

namespace baton::supervisor {

// How far a reload is, for `status`.
struct ReloadProgress {
  std::uint64_t from = 0;  // as in LastReload
  std::uint64_t to = 0;
  std::string phase;
  double phase_ms = 0;            // since it began
  double elapsed_ms = 0;          // since the reload began
  std::optional<double> left_ms;  // until the limit of what it waits for, where there is one
};

class ReloadReport {
 public:
  // Without a responder (a signal asked) nobody is told but the log.
  ReloadReport(std::optional<proto::Responder> client, proto::WaitFor wait, std::uint64_t from,
               MoveTotals before = {});

  // One that only waits for its drain, from a supervisor before this one: committed() follows.
  ReloadReport(proto::Responder client, LastReload record);

  // The next phase begins; the one before it, if any, has ended.
  void enter(std::string_view phase);
  void end_phase();

  // Why it fails; the first reason counts.
  void set_reason(const std::string& reason);
  void set_to(std::uint64_t generation) { record_.to = generation; }
  void set_rolled_back(bool is) { record_.rolled_back = is; }

  // The new generation serves: the answer for a client that waits for that.
  void serving();
  // Ended well; a client that waits for more than that it serves stays, to be told of moves.
  void committed();
  // `aftermath`: who serves now, in words.
  void failed(const std::string& aftermath);

  // After committed(): what has become of the connections that the generation before had, `total`
  // of them when its drain began. True: a client that does not wait for the drain has seen enough
  // once moving has begun, since nothing has moved for a while.
  bool drain_progress(const MoveCount& count, std::uint64_t total);
  // The answer.
  void drained(const Moves& moves);
  // The same, and there was no generation before.
  void drained();
  // The request that waits for the drain, if one does.
  std::optional<proto::Responder::Request> request() const;
  bool is_waited_for() const { return client_.has_value(); }
  bool waits_for_drain() const { return client_ && wait_ == proto::WAIT_DRAINED; }

  const LastReload& record() const { return record_; }
  ReloadProgress progress() const;  // without left_ms

 private:
  void send_time(double ms) const;
  void send(const proto::Progress& progress) const;
  void answer(const std::string& aftermath = "");

  std::optional<proto::Responder> client_;  // none once answered
  std::optional<MoveCount> count_;          // as told last
  int still_ = 0;                           // times it was the same
  proto::WaitFor wait_;
  LastReload record_;
  std::chrono::steady_clock::time_point began_;
  std::string phase_;
  std::chrono::steady_clock::time_point phase_began_;
};

}  // namespace baton::supervisor

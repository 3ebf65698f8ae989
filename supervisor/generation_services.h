// What a generation may ask of the supervisor beside its own life: the escrow and the statistics.
// A refused or malformed request gets an error answer and changes nothing. Of what a generation
// that fails has bound by itself, no socket file stays, unless the supervisor dies as well.
//
// Thread: the supervisor's. Borrows: state, escrow, region (all outlive every channel).
#pragma once

#include <span>
#include <vector>

#include "proto/channel.h"
#include "proto/generation.pb.h"
#include "supervisor/escrow.h"
#include "supervisor/state.h"
#include "supervisor/supervisor_region.h"
#include "supervisor/unescrowed_files.h"

namespace baton::supervisor {

class GenerationServices {
 public:
  GenerationServices(SupervisorState& state, Escrow& escrow, SupervisorRegion& region)
      : state_(state), escrow_(escrow), region_(region) {}

  // Answers the requests of one generation; the record outlives the channel.
  void serve(proto::Channel& channel, GenerationRecord& generation);
  // Its process was reaped.
  void ended(const GenerationRecord& generation);

 private:
  void put(const GenerationRecord& generation, const proto::Sockets& sockets, proto::Fds fds,
           const proto::Responder& responder);
  void get(const GenerationRecord& generation, const proto::SocketKeys& wanted,
           const proto::Responder& responder);
  void name_processes(proto::Sockets& message) const;
  std::vector<SocketKey> unreachable(std::span<const SocketKey> keys) const;
  void stats_text(const proto::StatsTextRequest& request, const proto::Responder& responder);

  SupervisorState& state_;
  Escrow& escrow_;
  UnescrowedFiles files_;
  SupervisorRegion& region_;
};

}  // namespace baton::supervisor

#include "supervisor/status_report.h"

#include <unistd.h>

#include "supervisor/reload_moves.h"
#include "supervisor/version.h"

namespace baton::supervisor {
namespace {

void fill(proto::StatusReply::Generation& row, const GenerationRecord& generation, const Pair& pair,
          const SupervisorRegion& region) {
  row.set_id(generation.id);
  row.set_pid(static_cast<std::uint32_t>(generation.pid));
  row.set_state(std::string(status_name(generation)));
  row.set_version(generation.version);
  row.set_binary(pair.binary_path);
  row.set_config(pair.config_path);
  row.set_started(generation.started);
  for (const std::string& listener : generation.listeners) row.add_listeners(listener);
  row.set_connections(region.connections(generation));
  row.set_moved_in(region.moved_in(generation));
  row.set_moved_out(region.moved_out(generation));
  if (generation.drain_deadline) row.set_drain_deadline(*generation.drain_deadline);
}

void fill(proto::StatusReply::LastReload& row, const LastReload& last) {
  row.set_ok(last.ok);
  row.set_from(last.from);
  row.set_to(last.to);
  row.set_reason(last.reason);
  for (const PhaseTime& phase : last.phases) {
    proto::StatusReply::Phase& entry = *row.add_phases();
    entry.set_name(phase.name);
    entry.set_ms(phase.ms);
  }
}

// Of a generation before that has ended, what was known then stays; what others do goes on.
std::optional<Moves> moves_now(const LastReload& last, const SupervisorState& state,
                               const SupervisorRegion& region) {
  if (!last.ok) return std::nullopt;
  if (last.moves) return moves_later(*last.moves, last, state, region);
  const auto from = state.generations.find(last.from);
  if (from == state.generations.end()) return std::nullopt;
  return moves_of(last, from->second, false, state, region);
}

void fill(proto::StatusReply::ReloadInProgress& row, const ReloadProgress& reload) {
  row.set_from(reload.from);
  row.set_to(reload.to);
  row.set_phase(reload.phase);
  row.set_phase_ms(reload.phase_ms);
  row.set_elapsed_ms(reload.elapsed_ms);
  if (reload.left_ms) row.set_left_ms(*reload.left_ms);
}

}  // namespace

void report_status(const SupervisorState& state, const SupervisorRegion& region,
                   const std::optional<ReloadProgress>& reload, const std::string& note,
                   const proto::Responder& client) {
  for (const auto& [id, generation] : state.generations) {
    proto::StatusReply part;
    fill(*part.add_generations(), generation, state.pairs.at(generation.pair), region);
    client.partial(part);
  }
  proto::StatusReply reply;
  reply.mutable_supervisor()->set_pid(static_cast<std::uint32_t>(::getpid()));
  reply.mutable_supervisor()->set_version(kVersion);
  reply.mutable_supervisor()->set_started(state.started);
  if (state.last_reload) {
    fill(*reply.mutable_last_reload(), *state.last_reload);
    if (const auto moves = moves_now(*state.last_reload, state, region)) {
      fill(*reply.mutable_last_reload()->mutable_moves(), *moves);
    }
  }
  if (reload) fill(*reply.mutable_reload_in_progress(), *reload);
  reply.set_note(note);
  client.reply(reply);
}

}  // namespace baton::supervisor

#include "supervisor/reload_moves.h"

#include <algorithm>
#include <utility>

namespace baton::supervisor {
namespace {

std::uint64_t growth(std::uint64_t before, std::uint64_t now) {
  return now - std::min(before, now);
}

Moves with_inherited(Moves at_end, std::uint64_t to, const SupervisorState& state,
                     const SupervisorRegion& region) {
  const auto found = state.generations.find(to);
  if (found == state.generations.end()) return at_end;
  const std::uint64_t inherited = growth(at_end.moved, region.moved_in(found->second));
  at_end.moved += inherited;
  at_end.lost -= std::min(at_end.lost, inherited);
  return at_end;
}

// What `moves` does not know by itself: of all generations but the one that has ended. What it
// knows of cuts and refusals stays: the region may have forgotten their listeners.
Moves with_rest(Moves moves, const LastReload& reload, const GenerationRecord* ended,
                const SupervisorState& state, const SupervisorRegion& region) {
  moves = with_inherited(std::move(moves), reload.to, state, region);
  moves.left = 0;
  for (const auto& [id, generation] : state.generations) {
    const bool has_ended = ended != nullptr && id == ended->id;
    const bool is_next = id == reload.to;  // while everything stops it drains, too
    const bool is_left = generation.role == Role::Draining && !has_ended && !is_next;
    if (is_left) moves.left += region.connections(generation);
  }
  const MoveTotals totals = region.move_totals();
  moves.cut = std::max(moves.cut, growth(reload.before.cut, totals.cut));
  for (const auto& [reason, connections] : totals.rejected) {
    const auto before = reload.before.rejected.find(reason);
    const std::uint64_t known = before == reload.before.rejected.end() ? 0 : before->second;
    if (connections <= known) continue;
    std::uint64_t& rejected = moves.rejected[reason];
    rejected = std::max(rejected, connections - known);
  }
  return moves;
}

}  // namespace

Moves moves_of(const LastReload& reload, const GenerationRecord& from, bool ended,
               const SupervisorState& state, const SupervisorRegion& region) {
  Moves moves{.moved = region.moved_out(from)};
  if (ended) moves.lost = region.connections(from);
  return with_rest(std::move(moves), reload, ended ? &from : nullptr, state, region);
}

Moves moves_later(Moves at_end, const LastReload& reload, const SupervisorState& state,
                  const SupervisorRegion& region) {
  return with_rest(std::move(at_end), reload, nullptr, state, region);
}

void fill(proto::Moves& message, const Moves& moves) {
  message.set_moved(moves.moved);
  message.set_left(moves.left);
  message.set_cut(moves.cut);
  message.set_lost(moves.lost);
  for (const auto& [reason, connections] : moves.rejected) {
    proto::Moves::Rejected& row = *message.add_rejected();
    row.set_reason(reason);
    row.set_connections(connections);
  }
}

}  // namespace baton::supervisor

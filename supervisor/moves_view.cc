#include "supervisor/moves_view.h"

#include <nlohmann/json.hpp>

#include "shared/os/format.h"

namespace baton::supervisor {

std::string moves_text(const proto::Moves& moves) {
  std::string rejected;
  for (const proto::Moves::Rejected& each : moves.rejected()) {
    rejected +=
        os::format("{}{} {}", rejected.empty() ? "" : ", ", each.connections(), each.reason());
  }
  if (!rejected.empty()) rejected = " (rejected: " + rejected + ")";
  std::string text =
      os::format("{} connections moved, {} left{}", moves.moved(), moves.left(), rejected);
  if (moves.cut() > 0) text += os::format(", {} cut at the drain deadline", moves.cut());
  if (moves.lost() > 0) text += os::format(", {} lost with their process", moves.lost());
  return text;
}

nlohmann::ordered_json moves_json(const proto::Moves& moves) {
  auto rejected = nlohmann::ordered_json::object();
  for (const proto::Moves::Rejected& each : moves.rejected()) {
    rejected[each.reason()] = each.connections();
  }
  return {{"moved", moves.moved()},
          {"left", moves.left()},
          {"rejected", std::move(rejected)},
          {"cut", moves.cut()},
          {"lost", moves.lost()}};
}

}  // namespace baton::supervisor

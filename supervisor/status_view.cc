#include "supervisor/status_view.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "shared/os/duration.h"
#include "shared/os/format.h"
#include "supervisor/moves_view.h"

namespace baton::supervisor {
namespace {

using Json = nlohmann::ordered_json;
using proto::StatusReply;

// Times are exact to the millisecond, phases to the microsecond; more digits are noise.
double rounded(double value) { return std::round(value * 1000) / 1000; }

Json generation_json(const StatusReply::Generation& generation) {
  Json row{{"id", generation.id()},
           {"pid", generation.pid()},
           {"state", generation.state()},
           {"version", generation.version()},
           {"binary", generation.binary()},
           {"config", generation.config()},
           {"started", rounded(generation.started())},
           {"listeners", Json::array()},
           {"connections", generation.connections()},
           {"moved_in", generation.moved_in()},
           {"moved_out", generation.moved_out()},
           {"drain_deadline", nullptr}};
  for (const std::string& listener : generation.listeners()) row["listeners"].push_back(listener);
  if (generation.has_drain_deadline()) row["drain_deadline"] = rounded(generation.drain_deadline());
  return row;
}

// 0: there was none.
Json generation_number(std::uint64_t id) { return id == 0 ? Json(nullptr) : Json(id); }

// "generation 1 to 2"; either may be missing.
std::string passage(std::uint64_t from, std::uint64_t to) {
  if (from == 0 && to == 0) return "";
  if (to == 0) return os::format("from generation {}: ", from);
  if (from == 0) return os::format("to generation {}: ", to);
  return os::format("generation {} to {}: ", from, to);
}

Json last_reload_json(const StatusReply& status) {
  if (!status.has_last_reload()) return nullptr;
  const StatusReply::LastReload& last = status.last_reload();
  Json row{{"ok", last.ok()},
           {"from", generation_number(last.from())},
           {"to", generation_number(last.to())},
           {"reason", last.reason()},
           {"phases", Json::array()}};
  for (const StatusReply::Phase& phase : last.phases()) {
    row["phases"].push_back({{"name", phase.name()}, {"ms", rounded(phase.ms())}});
  }
  row["moves"] = last.has_moves() ? moves_json(last.moves()) : Json(nullptr);
  return row;
}

Json reload_in_progress_json(const StatusReply& status) {
  if (!status.has_reload_in_progress()) return nullptr;
  const StatusReply::ReloadInProgress& reload = status.reload_in_progress();
  return {{"from", generation_number(reload.from())},
          {"to", generation_number(reload.to())},
          {"phase", reload.phase()},
          {"phase_ms", rounded(reload.phase_ms())},
          {"elapsed_ms", rounded(reload.elapsed_ms())},
          {"left_ms", reload.has_left_ms() ? Json(rounded(reload.left_ms())) : Json(nullptr)}};
}

std::string span(double seconds) {
  return os::format_duration(std::chrono::seconds(std::llround(std::max(0.0, seconds))));
}

std::string state_text(const StatusReply::Generation& generation, double now) {
  if (!generation.has_drain_deadline()) return generation.state();
  return os::format("{} ({} left)", generation.state(), span(generation.drain_deadline() - now));
}

using Row = std::vector<std::string>;

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += os::format("{:<{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string last_reload_text(const StatusReply::LastReload& last) {
  std::string text = "last reload: " + passage(last.from(), last.to());
  if (!last.ok()) return text + "failed: " + last.reason() + "\n";
  text += "ok";
  for (const StatusReply::Phase& phase : last.phases()) {
    text += os::format(", {} {:.1f} ms", phase.name(), phase.ms());
  }
  if (last.has_moves()) text += "\n  " + moves_text(last.moves());
  return text + "\n";
}

std::string reload_in_progress_text(const StatusReply::ReloadInProgress& reload) {
  std::string text = os::format(
      "reload in progress, {} so far: {}{}, for {}", span(reload.elapsed_ms() / 1000),
      passage(reload.from(), reload.to()), reload.phase(), span(reload.phase_ms() / 1000));
  if (reload.has_left_ms()) text += os::format(", {} left", span(reload.left_ms() / 1000));
  return text + "\n";
}

}  // namespace

std::string status_json(const StatusReply& status) {
  const StatusReply::Supervisor& supervisor = status.supervisor();
  Json json{{"supervisor",
             {{"pid", supervisor.pid()},
              {"version", supervisor.version()},
              {"started", rounded(supervisor.started())}}},
            {"generations", Json::array()},
            {"reload_in_progress", reload_in_progress_json(status)},
            {"last_reload", last_reload_json(status)},
            {"note", status.note().empty() ? Json(nullptr) : Json(status.note())}};
  for (const StatusReply::Generation& generation : status.generations()) {
    json["generations"].push_back(generation_json(generation));
  }
  // Paths need not be UTF-8, JSON must be.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string status_text(const StatusReply& status, double now) {
  const StatusReply::Supervisor& supervisor = status.supervisor();
  std::string text = os::format("supervisor {}, process {}, up {}\n\n", supervisor.version(),
                                supervisor.pid(), span(now - supervisor.started()));
  std::vector<Row> rows{{"GENERATION", "PROCESS", "STATE", "VERSION", "UP", "CONNECTIONS", "BINARY",
                         "CONFIGURATION"}};
  for (const StatusReply::Generation& each : status.generations()) {
    rows.push_back({std::to_string(each.id()), std::to_string(each.pid()), state_text(each, now),
                    each.version(), span(now - each.started()), std::to_string(each.connections()),
                    each.binary(), each.config().empty() ? "(built in)" : each.config()});
  }
  text += table(rows);
  for (const StatusReply::Generation& each : status.generations()) {
    if (each.listeners().empty()) continue;
    text += os::format("\ngeneration {} listens on:\n", each.id());
    for (const std::string& listener : each.listeners()) text += "  " + listener + "\n";
  }
  if (status.has_reload_in_progress()) {
    text += "\n" + reload_in_progress_text(status.reload_in_progress());
  }
  if (status.has_last_reload()) text += "\n" + last_reload_text(status.last_reload());
  if (!status.note().empty()) text += "\nnote: " + status.note() + "\n";
  return text;
}

}  // namespace baton::supervisor

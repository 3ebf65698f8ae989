#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "supervisor/progress_view.h"
#include "supervisor/status_view.h"

namespace baton::supervisor {
namespace {

proto::StatusReply example() {
  proto::StatusReply status;
  status.mutable_supervisor()->set_pid(7);
  status.mutable_supervisor()->set_version("1.2");
  status.mutable_supervisor()->set_started(1000.5);
  proto::StatusReply::Generation& generation = *status.add_generations();
  generation.set_id(3);
  generation.set_state("draining");
  generation.set_config("/etc/\xff.toml");
  generation.add_listeners("db 127.0.0.1:5432");
  generation.set_connections(12);
  generation.set_drain_deadline(2000);
  return status;
}

TEST_CASE("status: the JSON has every key of the contract, and is JSON whatever a path holds") {
  const auto json = nlohmann::json::parse(status_json(example()));
  CHECK(json["supervisor"]["pid"] == 7);
  CHECK(json["supervisor"]["started"] == 1000.5);
  CHECK(json["last_reload"].is_null());
  const auto& row = json["generations"][0];
  for (const char* key : {"id", "pid", "state", "version", "binary", "config", "started",
                          "listeners", "connections", "moved_in", "moved_out", "drain_deadline"}) {
    CHECK_MESSAGE(row.contains(key), key);
  }
  CHECK(row["drain_deadline"] == 2000.0);
  CHECK(row["connections"] == 12);
}

TEST_CASE("status: a last reload with its phases") {
  proto::StatusReply status = example();
  status.mutable_last_reload()->set_ok(true);
  proto::StatusReply::Phase& phase = *status.mutable_last_reload()->add_phases();
  phase.set_name("spawn");
  phase.set_ms(1.23456);
  const auto json = nlohmann::json::parse(status_json(status))["last_reload"];
  CHECK(json["ok"] == true);
  CHECK(json["phases"][0]["name"] == "spawn");
  CHECK(json["phases"][0]["ms"] == 1.235);
}

TEST_CASE("status: what the last reload has done to connections") {
  proto::StatusReply status = example();
  status.mutable_last_reload()->set_ok(true);
  CHECK(nlohmann::json::parse(status_json(status))["last_reload"]["moves"].is_null());
  proto::Moves& moves = *status.mutable_last_reload()->mutable_moves();
  moves.set_moved(12);
  moves.set_left(3);
  proto::Moves::Rejected& rejected = *moves.add_rejected();
  rejected.set_reason("no_listener");
  rejected.set_connections(2);
  CHECK(status_text(status, 1990)
            .ends_with("\n  12 connections moved, 3 left (rejected: 2 no_listener)\n"));
  moves.set_cut(1);
  moves.set_lost(4);
  CHECK(status_text(status, 1990)
            .ends_with("(rejected: 2 no_listener), 1 cut at the drain deadline, 4 lost with their "
                       "process\n"));
  CHECK(nlohmann::json::parse(status_json(status))["last_reload"]["moves"] ==
        nlohmann::json::parse(
            R"({"moved":12,"left":3,"rejected":{"no_listener":2},"cut":1,"lost":4})"));
}

TEST_CASE("status: a reload that started nothing names no generation it went to") {
  proto::StatusReply status = example();
  proto::StatusReply::LastReload& last = *status.mutable_last_reload();
  last.set_from(3);
  last.set_reason("no such file");
  CHECK(status_text(status, 1990).find("last reload: from generation 3: failed: no such file") !=
        std::string::npos);
  auto json = nlohmann::json::parse(status_json(status))["last_reload"];
  CHECK(json["from"] == 3);
  CHECK(json["to"].is_null());
  last.set_from(0);
  last.set_to(4);
  CHECK(status_text(status, 1990).find("last reload: to generation 4: failed") !=
        std::string::npos);
  CHECK(nlohmann::json::parse(status_json(status))["last_reload"]["from"].is_null());
}

TEST_CASE("status: the text says how long a drain has left") {
  const std::string text = status_text(example(), 1990);
  CHECK(text.find("draining (10s left)") != std::string::npos);
  CHECK(text.find("db 127.0.0.1:5432") != std::string::npos);
}

TEST_CASE("progress: the bar fills as connections leave, and says how many have moved") {
  const auto bar = [](std::uint64_t left, std::uint64_t total, std::uint64_t moved) {
    proto::Progress progress;
    progress.set_connections_left(left);
    progress.set_connections_total(total);
    progress.set_connections_moved(moved);
    return ProgressView::bar(progress);
  };
  const std::string half = std::string(15, '#') + std::string(15, '-');
  CHECK(bar(40, 40, 0) == "[" + std::string(30, '-') + "] 0 of 40 connections moved, 40 left");
  CHECK(bar(10, 20, 9) == "[" + half + "] 9 of 20 connections moved, 10 left");
  CHECK(bar(0, 3, 3) == "[" + std::string(30, '#') + "] 3 of 3 connections moved, 0 left");
  CHECK(bar(5, 0, 0) == "[" + std::string(30, '#') + "] 0 of 0 connections moved, 5 left");
}

}  // namespace
}  // namespace baton::supervisor

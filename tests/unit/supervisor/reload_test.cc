// Every row of the failure table, with the real supervisor and generations that fail on demand.
#include <doctest/doctest.h>
#include <signal.h>

#include <fstream>

#include "rig.h"
#include "supervisor/state_codec.h"
#include "supervisor/state_file.h"

namespace baton::supervisor {
namespace {

TEST_CASE("reload: the new generation takes over and the old one leaves") {
  Rig rig;
  rig.configure();
  rig.start();
  CHECK(rig.answer() == "1");
  const Outcome reload = rig.ask("reload", {"--wait-drained"});
  INFO(reload.err);
  CHECK(reload.exit_status == 0);
  for (const char* phase :
       {"spawn", "negotiate", "inherit", "warm", "serve", "probation", "commit", "drain"}) {
    CHECK_MESSAGE(contains(reload.out, std::string(phase) + " "), phase << " in " << reload.out);
  }
  CHECK(rig.answer() == "2");
  const nlohmann::json status = rig.status();
  REQUIRE(status["generations"].size() == 1);
  CHECK(status["generations"][0]["state"] == "serving");
  CHECK(status["last_reload"]["ok"] == true);
  CHECK(status["last_reload"]["from"] == 1);
  CHECK(status["last_reload"]["to"] == 2);
  CHECK(rig.metric("baton_reloads_total{result=\"ok\"}") == 1);
  CHECK(rig.metric("baton_generation{id=\"2\",state=\"serving\",version=\"fake-1\"}") == 1);
  rig.stop();
}

TEST_CASE("reload: what is told to serve is written down as ready before") {
  Rig rig;
  rig.configure("# at serve of 2 do stop-supervisor");
  rig.start();
  const pid_t reload = rig.ask_in_background("reload");
  rig.wait_until("the supervisor is stopped", [&] {
    std::ifstream stat("/proc/" + std::to_string(rig.pid()) + "/stat");
    std::string pid, name, state;
    return stat >> pid >> name >> state && state == "T";
  });
  std::ifstream file(state_file_path(rig.path("control.sock")));
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  ::kill(rig.pid(), SIGCONT);
  const auto written = decode_state(bytes);
  REQUIRE(written);
  REQUIRE(written->state.generations.contains(2));
  CHECK(written->state.generations.at(2).phase >= Phase::Ready);
  CHECK(rig.finish(reload).exit_status == 0);
  rig.stop();
}

TEST_CASE("reload: one that fails before old has paused leaves old alone, whatever old answers") {
  Rig rig;
  rig.configure("# at resume do refuse");
  rig.start();
  const auto pid = rig.in_state("serving")["pid"];
  rig.configure("# at serve do die");
  const Outcome reload = rig.ask("reload");
  CHECK(reload.exit_status == 1);
  CHECK_FALSE_MESSAGE(contains(reload.err, "rolled back"), reload.err);
  rig.wait_until("only generation 1 is left",
                 [&] { return rig.status()["generations"].size() == 1; });
  CHECK(rig.in_state("serving")["pid"] == pid);
  CHECK(rig.answer() == "1");
  rig.stop();
}

TEST_CASE("reload: old that does not resume is replaced, and nobody says it was rolled back to") {
  Rig rig;
  rig.configure("# at resume of 1 do die");
  rig.start();
  rig.configure("# at resume of 1 do die\n# at served of 2 do die");
  const Outcome reload = rig.ask("reload");
  CHECK(reload.exit_status == 1);
  CHECK_FALSE_MESSAGE(contains(reload.err, "rolled back"), reload.err);
  CHECK_MESSAGE(contains(reload.err, "generation 1 was killed by signal 9"), reload.err);
  rig.wait_until("generation 3 serves", [&] { return rig.answer() == "3"; });
  rig.stop();
}

struct Failure {
  std::string misdeed;  // of generation 2
  std::string binary;   // instead of the same one
  std::string reason;
  bool rolled_back = false;
};

TEST_CASE("reload: whatever new does wrong, the command fails with the reason and old goes on") {
  const Failure failures[] = {
      {"", "x-die-at-start", "generation 2 was killed by signal 9 (Killed) while starting"},
      {"", "x-die-at-start", "x-die-at-start a Baton proxy?"},
      {"", "x-hang-at-start", "generation 2 hung while starting: it was not ready within 2s"},
      {"", "x-old-protocol", "protocol"},
      {"welcomed do fail", "", "told to fail at welcomed"},
      {"welcomed do crash", "", "generation 2 exited with status 3 while negotiating"},
      {"welcomed do hang", "", "generation 2 hung while negotiating"},
      {"welcomed do garbage", "", "generation 2"},
      {"negotiated do die", "", "generation 2 was killed by signal 9 (Killed) while inheriting"},
      {"negotiated do hang", "", "generation 2 hung while inheriting"},
      {"inherited do die", "", "generation 2 was killed by signal 9 (Killed) while warming"},
      {"inherited do hang", "", "generation 2 hung while warming"},
      {"serve do die", "", "generation 2 was killed by signal 9 (Killed) while beginning to serve"},
      {"served do die", "", "generation 2 was killed by signal 9 (Killed) in probation", true},
      {"ping do die", "", "generation 2 was killed by signal 9 (Killed) in probation", true},
      {"ping do hang", "", "generation 2 did not answer a ping", true},
  };
  Rig rig;
  rig.configure();
  rig.start();
  const std::vector<std::string> fds_before = rig.open_fds();
  int number = 2;
  int failed = 0, rolled_back = 0;
  for (const Failure& failure : failures) {
    CAPTURE(failure.misdeed);
    CAPTURE(failure.binary);
    const std::string id = std::to_string(number++);
    rig.configure(failure.misdeed.empty() ? "" : "# at " + failure.misdeed, "a.sock",
                  contains(failure.reason, "hung") ? "2s" : "20s");
    std::vector<std::string> words;
    if (!failure.binary.empty()) words = {"--proxy", rig.binary(failure.binary)};
    const Outcome reload = rig.ask("reload", words);
    INFO(rig.log());
    CHECK(reload.exit_status == 1);
    std::string reason = failure.reason;
    if (const auto at = reason.find("generation 2"); at == 0) reason.replace(11, 1, id);
    CHECK_MESSAGE(contains(reload.err, reason), reload.err);
    CHECK_MESSAGE(contains(reload.err, "rolled back") == failure.rolled_back, reload.err);
    ++(failure.rolled_back ? rolled_back : failed);
    CHECK(rig.answer() == "1");
    rig.wait_until("only generation 1 is left",
                   [&] { return rig.status()["generations"].size() == 1; });
    CHECK(rig.in_state("serving")["id"] == 1);
    CHECK(rig.status()["last_reload"]["ok"] == false);
  }
  CHECK(rig.metric("baton_reloads_total{result=\"failed\"}") == failed);
  CHECK(rig.metric("baton_reloads_total{result=\"rolled_back\"}") == rolled_back);
  rig.wait_until("no descriptor is left open",
                 [&] { return rig.open_fds().size() <= fds_before.size() + 1; });
  rig.stop();
}

TEST_CASE("reload: what cannot be opened fails before anything is started") {
  Rig rig;
  rig.configure();
  rig.start();
  const auto fails = [&](const std::vector<std::string>& words, const std::string& reason) {
    const Outcome reload = rig.ask("reload", words);
    CHECK(reload.exit_status == 1);
    CHECK_MESSAGE(contains(reload.err, reason), reload.err);
  };
  fails({"--proxy", rig.path("missing")}, "No such file");
  fails({"--proxy", rig.path("")}, "not a regular file");
  fails({"--proxy", rig.path("baton.toml")}, "not executable");
  fails({"--config", rig.path("missing.toml")}, "missing.toml");
  CHECK(rig.answer() == "1");
  rig.stop();
}

TEST_CASE("reload: an error in the supervisor's own table is refused even by a blind generation") {
  Rig rig;
  rig.configure();
  rig.start();
  rig.configure("[supervisor.extra]");
  const Outcome reload = rig.ask("reload");
  CHECK(reload.exit_status == 1);
  CHECK_MESSAGE(contains(reload.err, rig.path("baton.toml") + ":"), reload.err);
  CHECK(rig.answer() == "1");
  rig.stop();
}

TEST_CASE("reload: a second one meanwhile is refused and harms nothing") {
  Rig rig;
  rig.configure();
  rig.start();
  rig.configure("# at ready do hang");
  const pid_t first = rig.ask_in_background("reload", {"--probation", "0"});
  rig.wait_for_stage(2, "ready");
  const Outcome second = rig.ask("reload");
  CHECK(second.exit_status == 4);
  CHECK(contains(second.err, "busy"));
  rig.signal_generation("ready", SIGKILL);
  CHECK(rig.finish(first).exit_status == 1);
  CHECK(rig.answer() == "1");
  rig.stop();
}

TEST_CASE("reload: old dies while new inherits, and new goes on from the escrow") {
  Rig rig;
  rig.configure();
  rig.start();
  rig.configure("# at ready do hang");
  const pid_t reload = rig.ask_in_background("reload");
  rig.wait_for_stage(2, "ready");
  rig.signal_generation("serving", SIGKILL);
  rig.wait_for_log("generation 1 was killed");
  rig.signal_generation("ready", SIGKILL);  // no way on, no way back: a fresh one
  CHECK(rig.finish(reload).exit_status == 1);
  CHECK(rig.answer() == "3");
  rig.stop();
}

TEST_CASE("reload: old dies before it could pause, and new is in charge") {
  Rig rig;
  rig.configure("# at pause of 1 do die");
  rig.start();
  const Outcome reload = rig.ask("reload", {"--wait-drained"});
  INFO(reload.err);
  CHECK(reload.exit_status == 0);
  CHECK(rig.answer() == "2");
  CHECK(rig.metric("baton_generation_crashes_total") == 1);
  rig.stop();
}

TEST_CASE("reload: old that does not pause is replaced all the same") {
  Rig rig;
  rig.configure("# at pause of 1 do refuse");
  rig.start();
  const Outcome reload = rig.ask("reload");
  INFO(reload.err);
  CHECK(reload.exit_status == 0);
  CHECK(rig.answer() == "2");
  rig.stop();
}

TEST_CASE("reload: old that cannot resume is replaced") {
  Rig rig;
  rig.configure("# at resume of 1 do die\n# at ping of 2 do die");
  rig.start();
  CHECK(rig.ask("reload").exit_status == 1);
  CHECK(rig.answer() == "3");
  rig.stop();
}

TEST_CASE("reload: --no-wait returns once new serves, Ctrl-C of the command aborts nothing") {
  Rig rig;
  rig.configure();
  rig.start();
  CHECK(rig.ask("reload", {"--no-wait", "--probation", "300ms"}).exit_status == 0);
  rig.wait_until("one is left", [&] { return rig.status()["generations"].size() == 1; });
  CHECK(rig.answer() == "2");
  const pid_t command = rig.ask_in_background("reload", {"--probation", "300ms"});
  rig.wait_for_stage(3, "serving");
  ::kill(command, SIGINT);
  CHECK(rig.finish(command).exit_status == 128 + SIGINT);
  rig.wait_until("generation 3 is alone", [&] { return rig.status()["generations"].size() == 1; });
  CHECK(rig.answer() == "3");
  rig.stop();
}

TEST_CASE("reload: an address that is no longer configured goes with its file, others stay") {
  Rig rig;
  rig.configure("# listen " + rig.path("b.sock"));
  rig.start();
  CHECK(rig.answer("b.sock") == "1");
  rig.configure();
  CHECK(rig.ask("reload").exit_status == 0);
  CHECK_FALSE(std::filesystem::exists(rig.path("b.sock")));
  CHECK(rig.answer() == "2");
  rig.stop();
}

TEST_CASE("reload: an address that only a failed generation had is gone, too") {
  Rig rig;
  rig.configure();
  rig.start();
  rig.configure("# listen " + rig.path("b.sock") + "\n# at ping do die");
  CHECK(rig.ask("reload").exit_status == 1);
  CHECK_FALSE(std::filesystem::exists(rig.path("b.sock")));
  CHECK(rig.answer() == "1");
  rig.stop();
}

TEST_CASE("rollback: brings back what ran, whatever the file holds by now") {
  Rig rig;
  rig.configure();
  rig.start();
  const Outcome nothing = rig.ask("rollback");
  CHECK(nothing.exit_status == 1);
  CHECK(contains(nothing.err, "nothing to go back to"));
  rig.configure("", "b.sock");
  REQUIRE(rig.ask("reload").exit_status == 0);
  CHECK(rig.answer("b.sock") == "2");
  std::filesystem::remove(rig.path("baton.toml"));
  CHECK(rig.ask("rollback").exit_status == 0);
  CHECK(rig.answer("a.sock") == "3");
  CHECK(rig.ask("rollback").exit_status == 0);
  CHECK(rig.answer("b.sock") == "4");
  rig.stop();
}

TEST_CASE("rollback: ends a reload under way, whatever it is at") {
  struct Moment {
    std::string misdeed;  // keeps generation 2 in this phase
    std::string state;    // which `status` then shows for it
    std::string phase;
    bool accepted = false;
  };
  const Moment moments[] = {{"# at welcomed do hang", "starting", "negotiate"},
                            {"# at inherited do hang", "starting", "warm"},
                            {"# at serve do hang", "ready", "serve"},
                            {"", "serving", "probation", true}};
  Rig rig;
  rig.configure();
  rig.start();
  std::uint64_t id = 1;
  for (const Moment& moment : moments) {
    CAPTURE(moment.misdeed);
    CAPTURE(moment.state);
    rig.configure(moment.misdeed + "\n# listen " + rig.path("b.sock"));
    const pid_t reload = rig.ask_in_background("reload", {"--probation", "1h"});
    rig.wait_for_stage(++id, moment.state);
    nlohmann::json progress;
    rig.wait_until("the phase is shown", [&] {
      progress = rig.status()["reload_in_progress"];
      return progress["phase"] == moment.phase;
    });
    CHECK(progress["from"] == 1);
    CHECK(progress["to"] == id);
    CHECK(progress["left_ms"].is_null() == (moment.phase == "serve"));
    const Outcome rollback = rig.ask("rollback");
    INFO(rollback.err);
    CHECK(rollback.exit_status == 0);
    CHECK(contains(rollback.out, "generation 1 is in charge"));
    const Outcome reloaded = rig.finish(reload);
    CHECK(reloaded.exit_status == 1);
    CHECK_MESSAGE(contains(reloaded.err, "rolled back by request"), reloaded.err);
    CHECK(contains(reloaded.err, moment.accepted ? "1 serves again" : "1 goes on"));
    CHECK(rig.status()["last_reload"]["reason"] == "rolled back by request");
    CHECK(rig.answer() == "1");
    CHECK(rig.answer("b.sock") == "");
    rig.wait_until("the candidate has gone",
                   [&] { return rig.status()["generations"].size() == 1; });
  }
  rig.stop();
}

TEST_CASE("rollback: of a reload whose generation before has died is answered, too") {
  Rig rig;
  rig.configure();
  rig.start();
  rig.configure("# at ready of 2 do hang");
  const pid_t reload = rig.ask_in_background("reload");
  rig.wait_for_stage(2, "ready");
  rig.signal_generation("serving", SIGKILL);
  rig.wait_for_log("generation 1 was killed");
  const Outcome rollback = rig.ask("rollback");
  CHECK(rollback.exit_status == 1);
  CHECK(contains(rollback.err, "a fresh generation is being started"));
  CHECK(rig.finish(reload).exit_status == 1);
  CHECK(rig.answer() == "3");
  rig.stop();
}

TEST_CASE("drain: one that does not end is re-tuned, cut at its deadline, and told of") {
  Rig rig;
  rig.configure("# at drain of 1 do hang");
  rig.start();
  CHECK(rig.ask("drain", {"--drain-time", "1s"}).exit_status == 1);
  const pid_t reload = rig.ask_in_background("reload", {"--wait-drained", "--drain-time", "1h"});
  rig.wait_for_stage(1, "draining");
  CHECK(rig.in_state("draining")["drain_deadline"].is_number());
  CHECK(rig.ask("drain", {"--drain-time", "0"}).exit_status == 0);
  CHECK(rig.finish(reload).exit_status == 0);
  CHECK(rig.status()["generations"].size() == 1);
  rig.stop();
}

TEST_CASE("stop: one that does not even take the order to drain is not waited for") {
  Rig rig;
  rig.configure("# at drain do hang");
  rig.start();
  rig.stop({"--drain-time", "1h"});
}

TEST_CASE("drain: beyond max_draining the oldest is cut") {
  Rig rig;
  rig.configure("# at drain do hang");
  std::ofstream(rig.path("baton.toml"), std::ios::app) << "max_draining = 1\ndrain_time = \"1h\"\n";
  rig.start();
  REQUIRE(rig.ask("reload").exit_status == 0);
  REQUIRE(rig.ask("reload").exit_status == 0);
  rig.wait_until("generation 1 is cut", [&] { return rig.status()["generations"].size() == 2; });
  CHECK(rig.in_state("draining")["id"] == 2);
  rig.stop({"--now"});
}

}  // namespace
}  // namespace baton::supervisor

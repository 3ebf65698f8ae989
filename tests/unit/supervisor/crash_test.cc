// Crashes of a generation in charge, and the ends of the supervisor itself.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>

#include "rig.h"

namespace baton::supervisor {
namespace {

TEST_CASE("crash: a fresh generation serves from the same sockets at once") {
  Rig rig;
  rig.configure();
  rig.start();
  rig.signal_generation("serving", SIGKILL);
  CHECK(rig.answer() == "2");
  rig.wait_until("counted", [&] { return rig.metric("baton_generation_crashes_total") == 1; });
  rig.stop();
}

TEST_CASE("crash: three in a row bring the previous binary and configuration back") {
  Rig rig;
  rig.configure();
  rig.start();
  rig.configure("# at drain do hang", "a.sock");
  REQUIRE(rig.ask("reload", {"--wait-drained"}).exit_status == 0);
  for (int crash = 0; crash < 3; ++crash) {
    const nlohmann::json before = rig.in_state("serving");
    REQUIRE_FALSE(before.is_null());
    rig.signal_generation("serving", SIGKILL);
    rig.wait_for_stage(before["id"].get<std::uint64_t>() + 1, "serving");
  }
  const std::string pair = "fake-1: " FAKE_GENERATION " with " + rig.path("baton.toml");
  const std::string note = "after 3 crashes in a row of generation 4 (" + pair +
                           "), fallen back to what ran as generation 1 (" + pair + ")";
  CHECK(contains(rig.log(), note));
  CHECK(rig.status()["note"] == note);
  CHECK(contains(rig.ask("status").out, "note: " + note));
  // A reload is a new beginning.
  rig.configure();
  CHECK(rig.ask("reload", {"--wait-drained"}).exit_status == 0);
  CHECK(rig.status()["note"].is_null());
  // The configuration that hangs while draining is not the one that runs now.
  rig.stop({"--drain-time", "1h"});
}

TEST_CASE("crash: a reload with a good binary ends a crash loop") {
  Rig rig;
  rig.configure();
  rig.start({"--probation", "0"});
  rig.configure("# at served do die");
  rig.ask("reload");
  rig.configure();
  Outcome reload;
  rig.wait_until("a reload is taken between two crashes", [&] {
    reload = rig.ask("reload");
    return reload.exit_status != 4;
  });
  rig.wait_until("it answers", [&] { return !rig.answer().empty(); });
  rig.stop();
}

TEST_CASE("crash: what has crashed and was reloaded in vain is not fallen back to") {
  Rig rig;
  rig.configure();
  rig.start();
  rig.configure("", "b.sock");
  REQUIRE(rig.ask("reload", {"--wait-drained"}).exit_status == 0);
  rig.signal_generation("serving", SIGKILL);
  rig.wait_for_stage(3, "serving");
  SUBCASE("but it can be gone back to, from what was before it") {
    CHECK(rig.ask("rollback").exit_status == 0);
    CHECK(rig.answer() == "4");
    CHECK(rig.ask("rollback").exit_status == 0);
    CHECK(rig.answer("b.sock") == "5");
    return rig.stop();
  }
  rig.configure("", "c.sock");
  REQUIRE(rig.ask("reload", {"--wait-drained"}).exit_status == 0);
  for (std::uint64_t id = 4; id < 7; ++id) {
    rig.wait_for_stage(id, "serving");
    rig.signal_generation("serving", SIGKILL);
  }
  rig.wait_for_stage(7, "serving");
  CHECK_MESSAGE(contains(rig.log(), "fallen back to what ran as generation 1 "), rig.log());
  rig.stop();
}

TEST_CASE("crash: a loop is in the status while it waits for the next start") {
  Rig rig;
  std::string misdeeds;
  for (int id = 2; id <= 20; ++id) {
    misdeeds += "# at serve of " + std::to_string(id) + " do die\n";
  }
  rig.configure(misdeeds);
  rig.start();
  rig.signal_generation("serving", SIGKILL);
  nlohmann::json status;
  rig.wait_until("it backs off", [&] {
    status = rig.status();
    return status["note"].is_string() && contains(status["note"], "the next start in ");
  });
  CHECK(contains(status["note"], "crash loop: "));
  CHECK(contains(status["note"], " quick crashes, "));
  CHECK(status["generations"].empty());
  rig.stop();
}

TEST_CASE("run: a configuration or binary that is bad from the start") {
  struct Row {
    std::string misdeed;
    std::vector<std::string> words;
    int exit_status;
    std::string reason;
  };
  Rig rig;
  const Row rows[] = {
      {"# at welcomed do fail", {}, 2, "told to fail at welcomed\n"},
      {"# at inherited do fail", {}, 1, "told to fail at inherited\n"},
      {"# at inherited do die",
       {},
       1,
       "generation 1 was killed by signal 9 (Killed) while warming"},
      {"# at inherited do hang", {}, 1, "hung while warming"},
      {"", {"--config", rig.path("missing.toml")}, 2, "missing.toml: No such file"},
      {"", {"--proxy", rig.path("missing")}, 1, "missing: No such file"},
      {"", {"--drain-time", "soon"}, 2, "--drain-time"},
      {"", {"--log-level", "loud"}, 2, "--log-level"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.misdeed);
    rig.configure(row.misdeed, "a.sock", contains(row.reason, "hung") ? "2s" : "20s");
    std::filesystem::remove(rig.path("run.err"));
    const Outcome run = rig.run_to_end(row.words);
    CHECK_MESSAGE(run.exit_status == row.exit_status, run.err);
    CHECK_MESSAGE(contains(run.err, row.reason), run.err);
    CHECK_FALSE(std::filesystem::exists(rig.path("control.sock")));
    CHECK_FALSE(std::filesystem::exists(rig.path("a.sock")));
  }
}

TEST_CASE("run: the control socket of a live supervisor is refused, a stale one taken over") {
  Rig rig;
  rig.configure();
  rig.start();
  struct stat status{};
  REQUIRE(::stat(rig.path("control.sock").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  const pid_t first = rig.pid();
  const Outcome second = rig.run_to_end();
  CHECK(second.exit_status == 4);
  CHECK(contains(second.err, "process " + std::to_string(first)));
  CHECK(rig.answer() == "1");
  rig.stop();
  std::ofstream(rig.path("control.sock.lock")) << "";
  rig.start();
  CHECK(rig.answer() == "1");
  rig.stop();
}

TEST_CASE("run: TERM drains, a second one cuts") {
  Rig rig;
  rig.configure("# at drain do hang");
  rig.start();
  ::kill(rig.pid(), SIGTERM);
  rig.wait_for_stage(1, "draining");
  CHECK(rig.ask("reload").exit_status == 4);
  const pid_t stop = rig.ask_in_background("stop");
  rig.wait_for_log("the command line asks to stop");
  ::kill(rig.pid(), SIGTERM);
  CHECK(rig.finish(stop).exit_status == 0);
  CHECK_FALSE(std::filesystem::exists(rig.path("a.sock")));
}

TEST_CASE("run: HUP reloads") {
  Rig rig;
  rig.configure();
  rig.start();
  ::kill(rig.pid(), SIGHUP);
  rig.wait_until("generation 2 is alone", [&] {
    const nlohmann::json all = rig.status()["generations"];
    return all.size() == 1 && all[0]["id"] == 2;
  });
  rig.stop();
}

TEST_CASE("run: an orphan of a generation is adopted and reaped") {
  Rig rig;
  rig.configure("# at drain of 1 do orphan");
  rig.start();
  REQUIRE(rig.ask("reload", {"--wait-drained"}).exit_status == 0);
  rig.wait_for_log("reaped orphan");
  rig.stop();
}

TEST_CASE("stop: in the middle of a reload there is one clear answer each") {
  // The last one is its probation.
  for (const char* misdeed :
       {"# at welcomed do hang", "# at inherited do hang", "# at ready do hang", ""}) {
    CAPTURE(misdeed);
    Rig rig;
    rig.configure();
    rig.start();
    rig.configure(misdeed);
    const pid_t reload = rig.ask_in_background("reload", {"--probation", "1h"});
    rig.wait_until("generation 2 runs", [&] { return rig.status()["generations"].size() == 2; });
    rig.stop({"--drain-time", "0"});
    const Outcome outcome = rig.finish(reload);
    CHECK(outcome.exit_status == 1);
    CHECK_MESSAGE(contains(outcome.err, "told to stop"), outcome.err);
  }
}

TEST_CASE("stop: a supervisor that is killed on its way has not stopped everything") {
  Rig rig;
  rig.configure("# at drain do ignore");
  rig.start();
  const pid_t stop = rig.ask_in_background("stop", {"--drain-time", "1h"});
  rig.wait_for_log("asks to stop");
  ::kill(rig.pid(), SIGKILL);
  const Outcome outcome = rig.finish(stop);
  CHECK(outcome.exit_status == 1);
  CHECK_MESSAGE(contains(outcome.err, "died before it had stopped everything"), outcome.err);
}

TEST_CASE("commands: nobody there, wrong usage, wrong filter") {
  Rig rig;
  rig.configure();
  for (const char* command : {"reload", "rollback", "status", "stats", "stop"}) {
    CAPTURE(command);
    const Outcome outcome = rig.ask(command);
    CHECK(outcome.exit_status == 3);
    CHECK(contains(outcome.err, "no supervisor at " + rig.path("control.sock")));
  }
  CHECK(rig.ask("reload", {"--no-wait", "--wait-drained"}).exit_status == 2);
  CHECK(rig.ask("drain").exit_status == 2);
  CHECK(rig.ask("stop", {"--now", "--drain-time", "1s"}).exit_status == 2);
  CHECK(rig.ask("dance").exit_status == 2);
  rig.start();
  CHECK(rig.ask("stats", {"--filter", "("}).exit_status == 2);
  CHECK(contains(rig.ask("stats", {"--filter", "reloads"}).out, "baton_reloads_total"));
  CHECK_FALSE(contains(rig.ask("stats", {"--filter", "reloads"}).out, "crashes"));
  rig.stop();
}

TEST_CASE("check: the binary judges, and its answer is the exit status") {
  Rig rig;
  rig.configure();
  const Outcome good =
      rig.ask("check", {"--proxy", FAKE_GENERATION, "--config", rig.path("baton.toml")});
  CHECK(good.exit_status == 0);
  CHECK(contains(good.err, "checked by the fake"));
  CHECK(good.out == rig.path("baton.toml") + " is good, says proxy fake-1 (" FAKE_GENERATION ")\n");
  for (const std::string stranger : {"/bin/true", "/bin/cat"}) {
    const Outcome wrong = rig.ask("check", {"--proxy", stranger});
    CHECK(wrong.exit_status == 2);
    CHECK(wrong.out.empty());
    CHECK(contains(wrong.err, "not a Baton proxy: " + stranger));
  }
  CHECK(rig.ask("check", {"--proxy", FAKE_GENERATION}).exit_status == 2);
  CHECK(rig.ask("check", {"--proxy", rig.path("missing")}).exit_status == 2);
}

}  // namespace
}  // namespace baton::supervisor

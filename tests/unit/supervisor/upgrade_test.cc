// The supervisor replaced in place, with fake generations.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "rig.h"
#include "shared/os/memfd.h"
#include "shared/os/process.h"
#include "supervisor/state_codec.h"
#include "supervisor/supervisor_region.h"
#include "supervisor/take_over_check.h"

namespace baton::supervisor {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// What the supervisor's binary says when it is asked whether it can take a state over.
std::string answer_to(std::string_view state) {
  const os::UniqueFd binary(::open(SUPERVISOR, O_RDONLY | O_CLOEXEC));
  const os::UniqueFd answer(::memfd_create("answer", MFD_CLOEXEC));
  const os::UniqueFd memory = os::create_sealed_memfd("state", state).value();
  const auto child = os::spawn(
      {.binary_fd = binary.get(),
       .arguments = {SUPERVISOR, "take-over", "--check", "--state-fd", "3", "--answer-fd", "4"},
       .inherited = {{memory.get(), 3}, {answer.get(), 4}}});
  REQUIRE(child);
  pollfd ended{.fd = child->pidfd.get(), .events = POLLIN, .revents = 0};
  REQUIRE(::poll(&ended, 1, 20'000) == 1);
  REQUIRE(os::reap(child->pidfd.get()));
  char text[4096];
  const ssize_t count = ::pread(answer.get(), text, sizeof text, 0);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
}

TEST_CASE("upgrade: a binary says which states it cannot take over, and why") {
  SupervisorState state;
  state.region_layout = SupervisorRegion::layout();
  CHECK(answer_to(encode_state(state, 1)) == kTakesOver);
  std::string future = encode_state(state, 1);
  future[4] = static_cast<char>(kStateVersion + 1);
  CHECK(contains(answer_to(future), "a later release has written the state"));
  CHECK(contains(answer_to(future.substr(0, 40)), "later release"));
  CHECK(contains(answer_to("nonsense"), "not a supervisor's state"));
  state.region_layout += 1;
  CHECK(contains(answer_to(encode_state(state, 1)), "the region has layout"));
}

TEST_CASE("upgrade: the same process and generation go on, with every descriptor and no more") {
  Rig rig;
  rig.configure();
  rig.start();
  const pid_t pid = rig.pid();
  const auto generation = rig.in_state("serving")["pid"];
  const std::size_t fds = rig.open_fds().size();
  for (int i = 0; i < 3; ++i) {
    const Outcome outcome = rig.ask("upgrade");
    INFO(outcome.err);
    CHECK(outcome.exit_status == 0);
    CHECK(contains(outcome.out, "has taken over"));
  }
  CHECK(rig.status()["supervisor"]["pid"] == pid);
  CHECK(rig.in_state("serving")["pid"] == generation);
  CHECK(rig.answer() == "1");
  rig.wait_until("no more descriptors", [&] { return rig.open_fds().size() <= fds; });
  CHECK(rig.ask("reload").exit_status == 0);
  CHECK(rig.answer() == "2");
  rig.stop();
}

TEST_CASE("upgrade: by signal") {
  Rig rig;
  rig.configure();
  rig.start();
  ::kill(rig.pid(), SIGUSR2);
  rig.wait_for_log("going on as process");
  CHECK(rig.answer() == "1");
  rig.stop();
}

TEST_CASE("upgrade: what cannot take over is refused, and nothing has changed") {
  Rig rig;
  rig.configure();
  rig.start();
  const struct {
    const char* binary;
    const char* reason;
  } refused[] = {{"/bin/true", "cannot take over"},
                 {"/nonexistent", "No such file"},
                 {"/etc/passwd", "not executable"},
                 {"/", "not a regular file"},
                 {FAKE_GENERATION, "cannot take over"}};
  for (const auto& [binary, reason] : refused) {
    const Outcome outcome = rig.ask("upgrade", {"--binary", binary});
    CHECK(outcome.exit_status == 1);
    CHECK_MESSAGE(contains(outcome.err, reason), outcome.err);
  }
  CHECK_FALSE(contains(rig.log(), "going on as process"));
  CHECK(rig.answer() == "1");
  CHECK(rig.ask("reload").exit_status == 0);
  rig.stop();
}

TEST_CASE("upgrade: refused while a reload is in progress") {
  Rig rig;
  rig.configure("# at inherited of 2 do hang");
  rig.start();
  const pid_t reload = rig.ask_in_background("reload");
  rig.wait_until("a reload is in progress",
                 [&] { return !rig.status()["reload_in_progress"].is_null(); });
  const Outcome outcome = rig.ask("upgrade");
  CHECK(outcome.exit_status == 4);
  CHECK_MESSAGE(contains(outcome.err, "another reload is in progress"), outcome.err);
  rig.signal_generation("starting", SIGKILL);
  CHECK(rig.finish(reload).exit_status == 1);
  rig.stop();
}

TEST_CASE("upgrade: during a drain, whoever waits for its end is told, by the new one") {
  Rig rig;
  rig.configure("# at drain of 1 do hang");
  rig.start();
  const pid_t reload = rig.ask_in_background("reload", {"--wait-drained", "--drain-time", "1s"});
  rig.wait_for_stage(1, "draining");
  CHECK(rig.ask("upgrade").exit_status == 0);
  CHECK(rig.in_state("draining")["id"] == 1);
  // The deadline that the one before had set is kept.
  const Outcome outcome = rig.finish(reload);
  CHECK(outcome.exit_status == 0);
  CHECK_MESSAGE(contains(outcome.out, "generation 2 is in charge"), outcome.out);
  rig.wait_until("only one is left", [&] { return rig.status()["generations"].size() == 1; });
  rig.stop();
}

TEST_CASE("upgrade: a crash afterwards is answered as ever, from the same sockets") {
  Rig rig;
  rig.configure();
  rig.start();
  CHECK(rig.ask("upgrade").exit_status == 0);
  rig.signal_generation("serving", SIGKILL);
  rig.wait_until("generation 2 serves", [&] { return rig.answer() == "2"; });
  CHECK(rig.metric("baton_generation_crashes_total") == 1);
  rig.stop();
}

}  // namespace
}  // namespace baton::supervisor

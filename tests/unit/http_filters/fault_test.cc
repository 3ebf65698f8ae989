#include "proxy/http/filter/fault/fault.h"

#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/fixture/metrics.h"
#include "tests/unit/http_filters/stream_rig.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy::http;
using namespace std::chrono_literals;
using Answer = StreamRig::Answer;

namespace {

const std::string kGet = "GET / HTTP/1.1\nHost: a\n";

struct FaultFixture {
  explicit FaultFixture(std::string_view toml)
      : parsed(parse_filter("fault", toml)), filter(rig.bind(*parsed.factory)) {
    CHECK(parsed.mistakes == "");
  }
  StreamRig ask(std::string_view lines = "") {
    return StreamRig(rig, filter, kGet + std::string(lines));
  }
  std::int64_t count(const std::string& kind) {
    return metric(*rig.stats, R"(baton_http_faults_total{listener="web",kind=")" + kind + R"("})");
  }

  FilterRig rig;
  ParsedFilter parsed;
  MakeHttpFilter filter;
};

bool goes_on(const StreamRig& stream) {
  return stream.reached_router() && stream.answer == Answer::None &&
         !stream.info.flags.has(ResponseFlag::DelayInjected);
}

FaultPlan planned(std::string_view lines) {
  FilterRig rig;
  const auto pass = [](const RequestHead&) { return nullptr; };
  StreamRig stream(rig, pass, kGet + std::string(lines));
  std::minstd_rand random;
  return plan_fault({.by_request = true}, stream.request_head().headers, random);
}

std::string mistakes(std::string_view toml) { return parse_filter("fault", toml).mistakes; }

}  // namespace

TEST_CASE("fault: an abort answers with its status, flagged and counted") {
  FaultFixture fixture("abort_status = 503");
  const StreamRig stream = fixture.ask();
  CHECK(stream.answer == Answer::Local);
  CHECK(stream.response_head().status == 503);
  CHECK(stream.detail == "fault_abort");
  CHECK(stream.info.flags.has(ResponseFlag::FaultInjected));
  CHECK_FALSE(stream.info.flags.has(ResponseFlag::DelayInjected));
  CHECK(fixture.count("abort") == 1);
  CHECK(fixture.count("delay") == 0);
}

TEST_CASE("fault: an abort by reset gives no answer") {
  FaultFixture fixture("abort_reset = true");
  const StreamRig stream = fixture.ask();
  CHECK(stream.answer == Answer::Reset);
  CHECK(stream.info.flags.has(ResponseFlag::FaultInjected));
}

TEST_CASE("fault: a delayed request goes on when its time is up, not before") {
  FaultFixture fixture("delay = \"30ms\"");
  const auto began = std::chrono::steady_clock::now();
  StreamRig stream = fixture.ask();
  CHECK_FALSE(stream.reached_router());
  CHECK(run_until(fixture.rig.loop, [&] { return stream.reached_router(); }));
  CHECK(std::chrono::steady_clock::now() - began >= 29ms);
  CHECK(stream.info.flags.has(ResponseFlag::DelayInjected));
  CHECK_FALSE(stream.info.flags.has(ResponseFlag::FaultInjected));
  CHECK(fixture.count("delay") == 1);
}

TEST_CASE("fault: a delay comes before an abort") {
  FaultFixture fixture("delay = \"1ms\"\nabort_status = 429");
  StreamRig stream = fixture.ask();
  CHECK(stream.answer == Answer::None);
  CHECK(run_until(fixture.rig.loop, [&] { return stream.answer == Answer::Local; }));
  CHECK(stream.response_head().status == 429);
  CHECK_FALSE(stream.reached_router());
}

TEST_CASE("fault: percentages are kept to") {
  FaultFixture fixture("abort_status = 500\nabort_percent = 30");
  int aborted = 0;
  for (int i = 0; i < 2000; ++i) aborted += fixture.ask().answer == Answer::Local ? 1 : 0;
  CHECK(aborted > 480);  // 600 are expected: six standard deviations
  CHECK(aborted < 720);
  FaultFixture never("abort_status = 500\nabort_percent = 0");
  for (int i = 0; i < 100; ++i) CHECK(goes_on(never.ask()));
}

TEST_CASE("fault: a request may ask for its own, when it is allowed to") {
  CHECK(planned("X-Fault-Delay: 200ms\n").delay == 200ms);
  CHECK(planned("X-Fault-Abort: 418\n").status == 418);
  CHECK(planned("X-Fault-Abort: 418\n").abort == Abort::Answer);
  CHECK(planned("X-Fault-Abort: reset\n").abort == Abort::Reset);
  FaultFixture deaf("delay = \"1ms\"\ndelay_percent = 0");
  CHECK(goes_on(deaf.ask("X-Fault-Abort: 418\n")));
}

TEST_CASE("fault: what a request asks for is not believed blindly") {
  for (const char* value : {"", "61s", "-1s", "10", "forever", "99999999999999999999s"}) {
    CAPTURE(value);
    CHECK(planned("X-Fault-Delay: " + std::string(value) + "\n").delay == 0ms);
  }
  for (const char* value : {"", "100", "199", "600", "65999", "418x", "-1", "RESET"}) {
    CAPTURE(value);
    CHECK(planned("X-Fault-Abort: " + std::string(value) + "\n").abort == Abort::No);
  }
}

TEST_CASE("fault: its mistakes have their place") {
  CHECK(mistakes("") ==
        "f:1:1: it does nothing; allowed: delay, abort_status, abort_reset or by_request\n");
  CHECK(mistakes("by_request = true") == "");
  CHECK(mistakes("delay = \"1s\"\nabort_percent = 1") ==
        "f:2:17: abort_percent: is not looked at; allowed: together with abort_status or "
        "abort_reset\n");
  CHECK(mistakes("abort_status = 500\nabort_reset = true") ==
        "f:2:15: abort_reset: there is an abort_status already; allowed: one of the two\n");
}

#include "supervisor/state_codec.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>

#include "supervisor/saved_enums.h"

namespace baton::supervisor {
namespace {

using std::chrono::milliseconds;

const SocketKey kWeb{"127.0.0.1:80", 1, "reuseport"};
const SocketKey kDns{"[::1]:53", 2, "reuseport,v6only"};

GenerationRecord draining_generation() {
  return {.id = 7,
          .role = Role::Draining,
          .phase = Phase::Draining,
          .pid = 4711,
          .identity = "boot 12345",
          .token = std::string("\0\xff secret", 9),
          .pidfd = 3,
          .channel_fd = 44,
          .channel_requests = 12,
          .pair = 4,
          .region_slot = 2,
          .shares_region = true,
          .version = "1.2",
          .features = {"listeners", "move"},
          .keys = {kDns, kWeb},
          .listeners = {"dns [::1]:53", "web \xff"},
          .started = 1000.5,
          .serving_since = 1001.25,
          .draining_since = 1100.125,
          .drain_deadline = 1130.5,
          .drain_total = 99,
          .drain_strategy = DrainStrategy::Immediate,
          .last_call = true,
          .reported_gauges = {{3, -4}, {5, 6}}};
}

// Every field has a value that is not its default.
SupervisorState full_state() {
  SupervisorState state;
  state.started = 999.5;
  state.log = {.level = "debug", .format = "json"};
  state.life = {.stage = lifecycle::Stage::Probation,
                .quick_crashes = 2,
                .has_previous = true,
                .fell_back = true};
  state.next_generation = 9;
  state.next_pair = 6;
  state.good = 5;
  state.previous = 4;
  state.flags = {.drain_time = milliseconds(1500),
                 .drain_strategy = DrainStrategy::Immediate,
                 .probation = milliseconds(20),
                 .start_timeout = milliseconds(3000),
                 .max_draining = 3};
  state.reload_flags = {.probation = milliseconds(30)};
  state.program = "/opt/\xfd/supervisor";
  state.start_paths = {"/usr/libexec/baton/proxy", "/etc/baton/\xfe.toml"};
  state.next_paths = {"/opt/proxy", ""};
  state.control = {.path = "/run/baton/control.sock",
                   .lock = 0,
                   .listener = 1,
                   .group = "operators",
                   .made_directory = "/run/baton"};
  state.pairs[4] = {.binary_path = "/usr/libexec/baton/proxy",
                    .binary = 5,
                    .config_path = "/etc/baton/\xff.toml",
                    .config = 6,
                    .settings = {.drain_strategy = DrainStrategy::Gradual},
                    .settings_errors = {"a:1:1: wrong"},
                    .generation = 7,
                    .version = "1.2"};
  state.pairs[5] = {.binary_path = "/tmp/proxy", .binary = 7, .generation = 8, .version = "1.3"};
  state.generations[7] = draining_generation();
  state.generations[8] = {.id = 8,
                          .role = Role::InCharge,
                          .phase = Phase::Serving,
                          .pid = 4712,
                          .pidfd = 4,
                          .pair = 5,
                          .region_slot = 1};
  state.escrow = {{.key = kWeb, .index = 0, .fd = 8, .added_by = 7},
                  {.key = kWeb, .index = 1, .fd = 9, .added_by = 8, .file = FileId{1, 2}}};
  state.region_fd = 45;
  state.region_layout = 77;
  state.orphaned_slots = {5, 6};
  LastReload& last = state.last_reload.emplace();
  last.ok = true;
  last.rolled_back = true;
  last.from = 7;
  last.to = 8;
  last.reason = "a \xff reason";
  last.phases = {{"spawn", 1.5}, {"drain", 2.5}};
  last.before.rejected["no_listener"] = 4;
  last.before.cut = 3;
  last.moves = Moves{.moved = 5, .left = 1, .cut = 2, .lost = 6, .rejected = {}};
  last.moves->rejected["no_cluster"] = 1;
  state.note = "after 3 crashes";
  state.clients = {{.fd = 46, .kind = 1, .request = 17, .generation = 7}};
  state.version = "0.1.0";
  state.memory = 10;
  state.kept_metrics["now{a=\"b\"}"] = {
      .sample = {.description = {.name = "now",
                                 .labels = "a=\"b\"",
                                 .help = "For tests.",
                                 .kind = region::MetricKind::Gauge,
                                 .unit = region::MetricUnit::Bytes},
                 .cells = {5}},
      .users = {{2, 6}, {3, -1}}};
  state.stored = {{"baton-fd-8", {.device = 8, .inode = 1234}}};
  return state;
}

std::string encoded(const SupervisorState& state, std::uint64_t sequence = 1) {
  return encode_state(state, sequence);
}

StateError::Code code_of(std::string_view bytes) {
  const auto decoded = decode_state(bytes);
  REQUIRE_FALSE(decoded);
  CHECK_FALSE(decoded.error().text.empty());
  return decoded.error().code;
}

TEST_CASE("state: what is written down is read back, every field of it") {
  const SupervisorState state = full_state();
  const auto decoded = decode_state(encoded(state, 41));
  REQUIRE(decoded);
  CHECK(decoded->sequence == 41);
  const SupervisorState& read = decoded->state;
  CHECK(encoded(read) == encoded(state));
  CHECK(read.log.format == "json");
  CHECK(read.life == state.life);
  CHECK(read.flags.drain_time == milliseconds(1500));
  CHECK(read.flags.max_draining == 3);
  CHECK(read.reload_flags.probation == milliseconds(30));
  CHECK(read.program == state.program);
  CHECK(read.start_paths == state.start_paths);
  CHECK(read.next_paths == state.next_paths);
  CHECK(read.control.made_directory == "/run/baton");
  CHECK(read.pairs.at(4).config_path == "/etc/baton/\xff.toml");
  CHECK(read.pairs.at(4).settings.drain_strategy == DrainStrategy::Gradual);
  CHECK(read.pairs.at(5).config == kNoFd);
  CHECK(read.generations.at(7).token == state.generations.at(7).token);
  CHECK(read.generations.at(7).identity == "boot 12345");
  CHECK(read.generations.at(7).channel_requests == 12);
  CHECK(read.generations.at(7).keys == state.generations.at(7).keys);
  CHECK(read.generations.at(7).reported_gauges == state.generations.at(7).reported_gauges);
  CHECK(read.generations.at(7).drain_strategy == DrainStrategy::Immediate);
  CHECK(read.generations.at(7).last_call);
  CHECK_FALSE(read.generations.at(8).drain_strategy.has_value());
  CHECK(read.generations.at(8).channel_fd == -1);
  CHECK_FALSE(read.generations.at(8).drain_deadline.has_value());
  CHECK(read.escrow.at(1).added_by == 8);
  CHECK(read.escrow.at(1).file == FileId{1, 2});
  CHECK_FALSE(read.escrow.at(0).file.has_value());
  CHECK(read.orphaned_slots == state.orphaned_slots);
  CHECK(read.last_reload->phases.at(1).ms == 2.5);
  CHECK(read.last_reload->before == state.last_reload->before);
  CHECK(read.last_reload->moves == state.last_reload->moves);
  CHECK(read.clients.at(0).request == 17);
  CHECK(read.memory == 10);
  CHECK(read.stored == state.stored);
  REQUIRE(read.kept_metrics.size() == 1);
  const auto& [name, kept] = *read.kept_metrics.begin();
  CHECK(name == state.kept_metrics.begin()->first);
  CHECK(name == region::full_name(kept.sample.description));
  CHECK(kept.sample.description.help == "For tests.");
  CHECK(kept.sample.description.unit == region::MetricUnit::Bytes);
  CHECK(kept.sample.cells == std::vector<std::uint64_t>{5});
  CHECK(kept.users == state.kept_metrics.begin()->second.users);
}

TEST_CASE("state: every enumerator survives") {
  SupervisorState state = full_state();
  for (const auto& [stage, saved] : kSavedStages) {
    state.life.stage = stage;
    CHECK(decode_state(encoded(state)).value().state.life.stage == stage);
  }
  for (const auto& [phase, saved] : kSavedPhases) {
    state.generations.at(7).phase = phase;
    CHECK(decode_state(encoded(state)).value().state.generations.at(7).phase == phase);
  }
  for (const auto& [role, saved] : kSavedRoles) {
    if (role == Role::InCharge) continue;
    state.generations.at(7).role = role;
    CHECK(decode_state(encoded(state)).value().state.generations.at(7).role == role);
  }
}

TEST_CASE("state: descriptors are named by index and number") {
  SupervisorState state = full_state();
  const FdIndex index = state.fds.add(os::UniqueFd(::dup(0)));
  const auto decoded = decode_state(encoded(state));
  REQUIRE(decoded);
  CHECK(decoded->descriptors == std::vector{std::pair(index, state.fds.get(index))});
  CHECK_FALSE(decoded->state.fds.has(index));
}

TEST_CASE("state: what comes behind its end does not matter") {
  CHECK(decode_state(encoded(full_state()) + "rest of a longer one"));
}

TEST_CASE("state: one of a later release is refused as such") {
  std::string bytes = encoded(full_state());
  bytes[4] = static_cast<char>(kStateVersion + 1);
  CHECK(code_of(bytes) == StateError::Code::Future);
}

TEST_CASE("state: something else is no state") {
  CHECK(code_of("") == StateError::Code::NoState);
  CHECK(code_of(std::string(100, 'x')) == StateError::Code::NoState);
}

TEST_CASE("state: one that is cut off or changed anywhere is refused, and nothing breaks") {
  const std::string whole = encoded(full_state());
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    CHECK_FALSE(decode_state(std::string_view(whole).substr(0, length)));
  }
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = whole;
    bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
    CHECK_FALSE(decode_state(bytes));
  }
}

TEST_CASE("state: what does not add up is refused") {
  const auto refused = [](auto change) {
    SupervisorState state = full_state();
    change(state);
    CHECK(code_of(encoded(state)) == StateError::Code::Corrupt);
  };
  refused([](SupervisorState& s) { s.good = 3; });
  refused([](SupervisorState& s) { s.generations.at(7).role = Role::InCharge; });
  refused([](SupervisorState& s) { s.generations.at(7).pair = 1; });
  refused([](SupervisorState& s) { s.generations.at(7).region_slot = 1; });
  refused([](SupervisorState& s) { s.generations.at(7).region_slot = 64; });
  refused([](SupervisorState& s) { s.orphaned_slots = {1}; });
  refused([](SupervisorState& s) { s.next_generation = 8; });
  refused([](SupervisorState& s) { s.next_pair = 5; });
  refused([](SupervisorState& s) { std::swap(s.escrow[0], s.escrow[1]); });
  refused([](SupervisorState& s) { s.escrow[0].fd = kMaxFds; });
}

TEST_CASE("state: a time that is none is not known, and the rest counts") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double bad : {std::nan(""), kInfinity, -kInfinity, 1e300, -1.0}) {
    SupervisorState state = full_state();
    GenerationRecord& generation = state.generations.at(7);
    generation.serving_since = generation.draining_since = generation.drain_deadline = bad;
    generation.started = bad;
    const auto decoded = decode_state(encoded(state));
    REQUIRE(decoded);
    const GenerationRecord& read = decoded->state.generations.at(7);
    CHECK(read.started == 0);
    CHECK_FALSE(read.serving_since.has_value());
    CHECK_FALSE(read.draining_since.has_value());
    CHECK_FALSE(read.drain_deadline.has_value());
    CHECK(read.token == generation.token);
  }
}

// The bytes of full_state() as a first release wrote them, which knew neither a reload's flags, nor
// what it had moved, nor how its drain had begun, nor sockets' files, nor kept metrics: every later
// one must make sense of them.
TEST_CASE("state: one that release 0.1.0 has written is read by this one") {
  std::ifstream file(RECORDED_STATE);
  std::string bytes;
  for (std::string byte; file >> byte;) {
    bytes.push_back(static_cast<char>(std::stoi(byte, nullptr, 16)));
  }
  const auto decoded = decode_state(bytes);
  REQUIRE(decoded);
  CHECK(decoded->sequence == 1);
  SupervisorState then = full_state();
  then.reload_flags = {};
  then.program.clear();
  then.start_paths.reset();
  then.next_paths.reset();
  then.generations.at(7).drain_strategy.reset();
  then.generations.at(7).last_call = false;
  then.escrow.at(1).file.reset();
  then.last_reload->before = {};
  then.last_reload->moves.reset();
  then.kept_metrics.clear();
  CHECK(encoded(decoded->state) == encoded(then));
}

}  // namespace
}  // namespace baton::supervisor

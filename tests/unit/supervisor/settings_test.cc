#include "supervisor/settings.h"

#include <doctest/doctest.h>

namespace baton::supervisor {
namespace {

TEST_CASE("settings: every key is read, and absent ones stay at what was there before") {
  const LoadedSettings loaded = load_settings(
      "[supervisor]\ndrain_time = '10m'\ndrain_strategy = 'immediate'\nmax_draining = 3\n", "f");
  CHECK(loaded.errors.empty());
  Settings settings;
  loaded.layer.apply_to(settings);
  CHECK(settings.drain_time == std::chrono::minutes(10));
  CHECK(settings.drain_strategy == DrainStrategy::Immediate);
  CHECK(settings.max_draining == 3);
  CHECK(settings.probation == std::chrono::seconds(1));
  CHECK(settings.start_timeout == std::chrono::seconds(30));
}

TEST_CASE("settings: other tables are nobody's business here, nor is a file that is not TOML") {
  CHECK(load_settings("[proxy]\nworkers = 'many'\n", "f").errors.empty());
  CHECK(load_settings("= = =", "f").errors.empty());
  CHECK(load_settings("", "f").errors.empty());
  CHECK(load_settings("[[[", "f").errors.empty());
}

TEST_CASE("settings: keys that nest without end do not exhaust the stack") {
  std::string deep = "a";
  for (int i = 0; i < 200'000; ++i) deep += ".a";
  CHECK(load_settings(deep + " = 1", "f").errors.empty());
}

TEST_CASE("settings: every mistake has its place, all at once") {
  struct Row {
    const char* line;
    const char* error;
  };
  const Row rows[] = {
      {"drain_time = 30",
       R"(f:2:14: supervisor.drain_time: must be a number with a unit: "500ms", "30s", "10m", "1h")"},
      {"probation = '-1s'", R"(f:2:13: supervisor.probation: "-1s" is not a duration; allowed: )"
                            R"(a number with a unit: "500ms", "30s", "10m", "1h"; 0s to 1h)"},
      {"probation = '61m'",
       R"(f:2:13: supervisor.probation: "61m" is out of range; allowed: 0s to 1h)"},
      {"drain_time = '31d'",
       R"(f:2:14: supervisor.drain_time: "31d" is out of range; allowed: 0s to 30d)"},
      {"start_timeout = '0'",
       R"(f:2:17: supervisor.start_timeout: "0" is out of range; allowed: 1ms to 1h)"},
      {"drain_strategy = 'slow'",
       R"(f:2:18: supervisor.drain_strategy: must be "gradual" or "immediate")"},
      {"max_draining = 0", "f:2:16: supervisor.max_draining: must be a whole number from 1 to 32"},
      {"max_draining = 'x'",
       "f:2:16: supervisor.max_draining: must be a whole number from 1 to 32"},
  };
  for (const Row& row : rows) {
    const LoadedSettings loaded = load_settings(std::string("[supervisor]\n") + row.line, "f");
    REQUIRE(loaded.errors.size() == 1);
    CHECK(loaded.errors.front() == row.error);
  }
  CHECK(load_settings("[supervisor]\ndrain = '1s'\nmax_draining = 0\n", "f").errors.size() == 2);
  CHECK(load_settings("supervisor = 1", "f").errors.size() == 1);
}

}  // namespace
}  // namespace baton::supervisor

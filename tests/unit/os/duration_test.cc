#include "shared/os/duration.h"

#include <doctest/doctest.h>

using namespace baton::os;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

TEST_CASE("duration: a number and a unit") {
  struct Row {
    const char* text;
    milliseconds value;
  };
  constexpr Row kRows[] = {
      {"0", 0ms},         {"0s", 0ms},     {"500ms", 500ms}, {"30s", 30s},          {"10m", 10min},
      {"1h", 1h},         {"2d", 48h},     {"1.5s", 1500ms}, {"0.25m", 15s},        {"1500us", 2ms},
      {"499us", 1ms},     {"0.001s", 1ms}, {"007s", 7s},     {"3650d", 3650 * 24h}, {"1us", 1ms},
      {"0.00001ms", 1ms}, {"0us", 0ms},    {"0.0h", 0ms},    {"1499us", 1ms},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.text);
    const auto parsed = parse_duration(row.text);
    REQUIRE(parsed);
    CHECK(*parsed == row.value);
  }
}

TEST_CASE("duration: what is none is refused") {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,           "5"sv,
                                      "s"sv,          "-1s"sv,
                                      "-0s"sv,        "+1s"sv,
                                      " 1s"sv,        "1s "sv,
                                      "1 s"sv,        "1S"sv,
                                      "1sec"sv,       "1s2"sv,
                                      "1h30m"sv,      "1e3s"sv,
                                      "0x10s"sv,      "infs"sv,
                                      "nans"sv,       "inf"sv,
                                      "1,5s"sv,       "1.2.3s"sv,
                                      "3651d"sv,      "99999999999999999999h"sv,
                                      "00"sv,         "1s\0"sv,
                                      "ten seconds"sv}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("duration: written in its shortest exact form, which reads back") {
  struct Row {
    milliseconds value;
    const char* text;
  };
  constexpr Row kRows[] = {{0ms, "0s"},  {1ms, "1ms"},   {1500ms, "1500ms"},  {30s, "30s"},
                           {90s, "90s"}, {10min, "10m"}, {90min, "90m"},      {1h, "1h"},
                           {24h, "1d"},  {25h, "25h"},   {1s + 1ms, "1001ms"}};
  for (const Row& row : kRows) {
    CHECK(format_duration(row.value) == row.text);
    CHECK(parse_duration(row.text) == row.value);
  }
}

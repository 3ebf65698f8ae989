#include "proto/negotiation.h"

#include <doctest/doctest.h>

using namespace baton::proto;

namespace {

Hello hello(std::uint32_t min, std::uint32_t max, std::vector<std::string> features = {}) {
  Hello message;
  message.set_protocol_min(min);
  message.set_protocol_max(max);
  for (std::string& feature : features) message.add_features(std::move(feature));
  return message;
}

}  // namespace

TEST_CASE("negotiation: the highest common protocol, or none") {
  struct Row {
    std::uint32_t our_min, our_max, their_min, their_max;
    std::uint32_t agreed;  // 0: no common one
  };
  constexpr Row kRows[] = {
      {1, 1, 1, 1, 1},
      {1, 3, 1, 2, 2},
      {1, 2, 1, 3, 2},
      {2, 5, 1, 3, 3},
      {1, 9, 4, 6, 6},
      {1, 1, 2, 2, 0},
      {3, 4, 1, 2, 0},
      {1, 1, 0, 0, 0},  // says nothing at all
      {1, 9, 7, 3, 0},  // a range that is none
      {1, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.their_min);
    CAPTURE(row.their_max);
    const auto ours = hello(row.our_min, row.our_max);
    const auto theirs = hello(row.their_min, row.their_max);
    const auto agreement = negotiate(ours, theirs);
    CHECK(agreement.has_value() == (row.agreed != 0));
    if (agreement) CHECK(agreement->protocol == row.agreed);
    const auto mirrored = negotiate(theirs, ours);
    CHECK(mirrored.has_value() == agreement.has_value());
    if (mirrored && agreement) CHECK(mirrored->protocol == agreement->protocol);
  }
}

TEST_CASE("negotiation: a refusal is one line with both ranges") {
  const auto refused = negotiate(hello(1, 1), hello(2, 4));
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == "no common protocol: this side speaks 1, the other 2 to 4");
}

TEST_CASE("negotiation: the features both sides name, each once, in order") {
  const auto agreement = negotiate(hello(1, 1, {"stats-delta", "listeners", "tls", "listeners"}),
                                   hello(1, 1, {"listeners", "udp", "stats-delta", "listeners"}));
  REQUIRE(agreement);
  CHECK(agreement->features == std::vector<std::string>{"listeners", "stats-delta"});
  CHECK(agreement->has(kFeatureListeners));
  CHECK(agreement->has(kFeatureStatsDelta));
  CHECK_FALSE(agreement->has("tls"));
  CHECK_FALSE(agreement->has("udp"));
}

TEST_CASE("negotiation: a side that knows only listeners still agrees on them") {
  const auto agreement =
      negotiate(hello(1, 1, {"listeners", "move-tcp"}), hello(1, 1, {"listeners"}));
  REQUIRE(agreement);
  CHECK(agreement->features == std::vector<std::string>{"listeners"});
}

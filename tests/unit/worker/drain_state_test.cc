#include "proxy/worker/drain_state.h"

#include <doctest/doctest.h>

using namespace baton::proxy;
using namespace std::chrono_literals;

TEST_CASE("drain state: who can move goes on behind a boundary while there is somewhere to go") {
  DrainState drain;
  drain.begin(1h, DrainStrategy::Immediate);
  CHECK_FALSE(drain.keeps_movable());
  drain.set_moving(Moving::Now);
  CHECK(drain.keeps_movable());
  drain.set_moving(Moving::Later);
  CHECK(drain.keeps_movable());
  SUBCASE("or time is running out for one that does not answer") {
    drain.begin(0ms, DrainStrategy::Immediate);
    CHECK_FALSE(drain.keeps_movable());
    drain.set_moving(Moving::Now);
    CHECK(drain.keeps_movable());
  }
  SUBCASE("or nobody takes it any more") {
    drain.set_moving(Moving::Off);
    CHECK_FALSE(drain.keeps_movable());
    CHECK(drain.closes_now());
  }
}

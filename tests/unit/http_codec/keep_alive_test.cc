#include "proxy/http/codec/keep_alive.h"

#include <doctest/doctest.h>

using namespace baton::proxy::http;
using namespace std::chrono_literals;

TEST_CASE("keep alive: the time is found wherever it stands") {
  CHECK(keep_alive_time("timeout=5") == 5s);
  CHECK(keep_alive_time("max=100, Timeout=0") == 0s);
  CHECK(keep_alive_time(" ,timeout=4294967295 ,max=1") == 4294967295s);
}

TEST_CASE("keep alive: what is not understood says nothing") {
  for (const char* value : {"", ",", "max=5", "timeout", "timeout=", "timeout=-1", "timeout=5s",
                            "timeout=4294967296", "xtimeout=5", "timeout =5"}) {
    CAPTURE(value);
    CHECK_FALSE(keep_alive_time(value));
  }
}

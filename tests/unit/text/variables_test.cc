#include "proxy/text/variables.h"

#include <doctest/doctest.h>

using baton::proxy::replace_process_variables;

TEST_CASE("variables: they are replaced, everything else stays") {
  CHECK(replace_process_variables("", 3, "9.9").empty());
  CHECK(replace_process_variables("plain", 3, "9.9") == "plain");
  CHECK(replace_process_variables("%GENERATION%", 12, "9.9") == "12");
  CHECK(replace_process_variables("a %VERSION% b %GENERATION%%", 1, "9.9") == "a 9.9 b 1%");
  CHECK(replace_process_variables("%OTHER% %", 1, "9.9") == "%OTHER% %");
  CHECK(replace_process_variables("%%GENERATION%VERSION%", 1, "9.9") == "%1VERSION%");
}

TEST_CASE("variables: a value is not looked into again") {
  CHECK(replace_process_variables("%VERSION%", 1, "%GENERATION%") == "%GENERATION%");
}

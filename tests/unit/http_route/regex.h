// A pattern that compiles.
#pragma once

#include <doctest/doctest.h>

#include <string_view>
#include <utility>

#include "proxy/http/route/regex.h"

namespace baton::fixture {

inline proxy::http::Regex regex(std::string_view pattern) {
  auto compiled = proxy::http::Regex::compile(pattern);
  REQUIRE(compiled);
  return *std::move(compiled);
}

}  // namespace baton::fixture

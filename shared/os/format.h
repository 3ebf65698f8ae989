// Text from a format string, checked at compile time, and values; the syntax is that of
// std::format. The library behind it is compiled once, not by everybody who includes this. Thread:
// any.
#pragma once

#include <fmt/core.h>

#include <string>

namespace baton::os {

std::string vformat(fmt::string_view format, fmt::format_args args);

template <class... Args>
std::string format(fmt::format_string<Args...> format, const Args&... args) {
  return os::vformat(format, fmt::make_format_args(args...));
}

}  // namespace baton::os

// Times in records of what moves: counts since the clock's beginning, which all processes of a
// machine share.
// Thread: any.
#pragma once

#include <algorithm>
#include <cstdint>

namespace baton::proxy {

// When something was that is over; a record that names the future means now. So time since then is
// never negative, and what is computed from it does not overflow.
template <class Clock>
Clock::time_point past_time(std::uint64_t count) {
  const auto now = Clock::now().time_since_epoch().count();
  const std::uint64_t at_most = std::min(count, static_cast<std::uint64_t>(now));
  return typename Clock::time_point(
      typename Clock::duration(static_cast<typename Clock::rep>(at_most)));
}

}  // namespace baton::proxy

// Stands for the process's own id in the program of the system call filter, which is made when
// Baton is built. No process has this one: the kernel's ids end at 2^22.
#pragma once

#include <cstdint>

namespace baton::proxy {

inline constexpr std::uint32_t kOwnPid = 0x3b0a7090;

}  // namespace baton::proxy

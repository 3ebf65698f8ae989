// What a service manager says by environment variables.
// Thread: main, while nobody changes the environment.
#pragma once

#include <cstdint>
#include <optional>

namespace baton::supervisor {

// The whole value as a number that is not negative; nothing: it is not set, or no such number.
std::optional<std::uint64_t> number_in(const char* variable);

}  // namespace baton::supervisor

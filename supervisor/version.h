#pragma once

namespace baton::supervisor {

inline constexpr const char* kVersion = BATON_VERSION;

}  // namespace baton::supervisor

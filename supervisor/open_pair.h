// Opens what a reload is about to run: the binary and the configuration, as they are now.
// Thread: any. Source: design section 3, step 1.
#pragma once

#include <string>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"
#include "supervisor/state.h"

namespace baton::supervisor {

inline constexpr std::size_t kMaxConfigBytes = 16 * 1024 * 1024;

// A program to run from its descriptor. `what` is it for errors: "proxy binary". Errors: missing,
// no regular file, not executable.
os::Result<os::UniqueFd> open_binary(const std::string& path, const std::string& what);

// The descriptors go into `fds`. An empty `config_path` means the generation's built-in
// configuration. Errors: the binary is missing, no regular file or not executable; the
// configuration cannot be read. What is wrong inside the [supervisor] table is no error: see
// settings_errors.
os::Result<Pair> open_pair(FdTable& fds, const std::string& binary_path,
                           const std::string& config_path);

// Closes what open_pair() has opened.
void close_pair(FdTable& fds, const Pair& pair);

}  // namespace baton::supervisor

// Whether a binary is a Baton proxy at all: it says so itself, asked for its version.
// Thread: any; blocks until the binary has answered or its time is over.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "shared/os/error.h"

namespace baton::supervisor {

// What a Baton proxy's --version begins with; its version follows.
inline constexpr std::string_view kProxyVersionPrefix = "baton proxy ";
inline constexpr std::chrono::milliseconds kVersionTime{5000};

// Runs the binary with --version, without input; kills it at the end of kVersionTime. `path` is
// what errors call it. Errors: it cannot be run, or what it says is not what a Baton proxy says.
os::Result<std::string> proxy_version(int binary_fd, const std::string& path);

}  // namespace baton::supervisor

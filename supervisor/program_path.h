// Where this program and the proxy that belongs to it are found, the next time as well: by the
// links that it was started by, which may lead to a later release then.
// Thread: any. Source: getauxval(3) AT_EXECFN, proc(5).
#pragma once

#include <filesystem>
#include <string>

#include "shared/os/error.h"

namespace baton::supervisor {

// Against the working directory. Symbolic links stay: what they point to may change until the next
// reload. With a "..", which may follow one, nothing is simplified. Error: it is relative, and the
// working directory is gone.
os::Result<std::string> absolute_path(const std::filesystem::path& path);

// The path this program was started by; where it is, if that does not lead to it.
std::string own_path();

// What is to be run in the place of this program: what `path` leads to, or, if that is no program
// any more, what is where this one was.
std::string program_at(const std::string& path);

// The proxy binary that belongs to this program: beside it, in the build tree, or installed.
std::string default_proxy_path();

}  // namespace baton::supervisor

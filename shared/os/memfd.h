// Sealed memory files: how bytes travel between processes without a copy anyone can change.
// Source: memfd_create(2), fcntl(2) "File Sealing".
#pragma once

#include <string>
#include <string_view>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"

namespace baton::os {

// A CLOEXEC memfd holding `bytes`, sealed against every change.
Result<UniqueFd> create_sealed_memfd(const std::string& name, std::string_view bytes);

// The bytes of a memfd that a peer sent. Refuses one that is not sealed against shrinking, growing
// and writing (it could change, or raise SIGBUS, while being read) or is larger than `limit_bytes`.
Result<std::string> read_sealed_memfd(int fd, std::size_t limit_bytes);

// The bytes of a regular file; refuses one larger than `limit_bytes`.
Result<std::string> read_file(const std::string& path, std::size_t limit_bytes);

// At the file's offset, all of it; `object` names it in the error.
Result<void> write_all(int fd, std::string_view bytes, const std::string& object);

}  // namespace baton::os

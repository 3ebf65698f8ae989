// Claims the path of the control socket: one supervisor a path, whatever a dead one left there.
//
// A lock file beside the socket decides who owns the path, so two that start at once cannot both
// take over a stale socket. The kernel frees the lock with its holder. A socket that somebody
// listens at is never stale.
// Thread: any. Source: unix(7), flock(2).
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"
#include "supervisor/fd_table.h"

namespace baton::supervisor {

struct ControlSocket {
  std::string path;
  FdIndex lock = kNoFd;
  FdIndex listener = kNoFd;    // listening, non-blocking
  std::string group;           // whose members may connect, too; empty: nobody's
  std::string made_directory;  // empty: it was there
};

struct ControlSocketError {
  enum class Code { InUse, NotPermitted, BadUsage, Failed };
  Code code;
  std::string text;
};

// Whether the socket's own directory (never one above it) may be created: for a usual path, yes; in
// one that a user has typed it is more likely a mistake.
enum class MissingDirectory : std::uint8_t { Create, Refuse };

// The descriptors go into `fds`. A directory is created with 0755 for root, else 0700. On failure
// nothing is left of what was made here.
std::expected<ControlSocket, ControlSocketError> claim_control_socket(FdTable& fds,
                                                                      const std::string& path,
                                                                      const std::string& group,
                                                                      MissingDirectory missing);

// Whether another supervisor has the path by now, since somebody had removed the files: what is
// there is that one's.
bool is_taken_over(const FdTable& fds, const ControlSocket& socket);

// Removes the socket, the state file, the lock file and the directory that claim_control_socket()
// has made; nothing, if it is taken over.
void release_control_socket(FdTable& fds, ControlSocket& socket);
// The same for one who goes as he came: the state of a supervisor before stays.
void give_back_control_socket(FdTable& fds, ControlSocket& socket);

// Where it is unless told otherwise: $RUNTIME_DIRECTORY/control.sock, else /run/baton/control.sock
// for root, else $XDG_RUNTIME_DIR/baton/control.sock. Error: none of them applies.
os::Result<std::string> default_control_path();

// Connects; the peer's pid is the supervisor's. The error's code is connect()'s.
struct ControlConnection {
  os::UniqueFd socket;  // non-blocking
  int pid = 0;
};
os::Result<ControlConnection> connect_control_socket(const std::string& path);

}  // namespace baton::supervisor

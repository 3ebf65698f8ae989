// Starting, watching and signalling processes by descriptor, free of pid reuse.
// Source: execveat(2), pidfd_open(2), pidfd_send_signal(2), close_range(2), proc(5).
// Thread: the one that calls; a program with one thread at the time of spawn() and
// replace_program().
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"

namespace baton::os {

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;  // readable once the process has ended
};

struct InheritedFd {
  int source;  // borrowed, a descriptor of this process
  int target;  // its number in the child
};

struct SpawnOptions {
  int binary_fd = -1;  // borrowed; run from the descriptor, whatever its path holds by now
  std::vector<std::string> arguments;  // argv, program name included
  std::vector<InheritedFd> inherited;  // everything else from 3 up is closed at exec
};

// Runs the program in a process group of its own (a terminal's Ctrl-C reaches only the caller),
// signals unblocked and at their defaults, and an environment that names no service
// manager: it does not speak for this process. Returns once exec has succeeded; an exec that
// fails is this call's error (ENOEXEC, EACCES, ...) and leaves no child.
Result<Child> spawn(const SpawnOptions& options);

// Holds back all signals; destroyed, it lets them come. Over an exec they stay held back.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  sigset_t before_;
};
// What the program before held back at an exec comes now.
void release_signals();

// Runs another program in place of this one; of the descriptors from 3 up it keeps `kept`, under
// their numbers. Returns on failure only, with everything as it was.
struct ReplaceOptions {
  int binary_fd = -1;  // borrowed, as in SpawnOptions
  std::vector<std::string> arguments;
  std::span<const int> kept;
};
Error replace_program(const ReplaceOptions& options);

// Tells a process from a later one with the same pid, after a reboot, too. Error: there is none.
// "<boot> <start>"; the boot is empty where the sandbox of the one that asks hides it.
Result<std::string> process_identity(pid_t pid);
// Whether two of one pid may be the same process: the boots count only where both are known.
bool is_same_process(std::string_view identity, std::string_view other);
// The process of that pid, if it is still the one. Error: it has ended.
Result<UniqueFd> find_process(pid_t pid, const std::string& identity);

// False: it has already ended.
bool send_signal(int pidfd, int signal);

struct ExitStatus {
  int code = 0;              // exit status, when signal == 0
  int signal = 0;            // the signal that ended it
  bool known = true;         // false: it was not this process's child
  std::string text() const;  // "exited with status 1", "killed by signal 9 (Killed)", "ended"
};

// Reaps an ended child of this process; nothing while it still runs or when it is none of ours.
Result<ExitStatus> reap(int pidfd);

}  // namespace baton::os

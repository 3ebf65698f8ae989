// One system call for a row of sends on different sockets: an io_uring that can do nothing else.
//
// Entering the kernel is a good part of a small send; a row of them enters once. None of it
// waits: a socket that takes nothing says so, and the call returns when all have been tried.
//
// An io_uring is a way around a filter of system calls (proxy/server/system_call_filter.h), so a
// ring is made before the filter, which refuses another, and restricted to IORING_OP_SEND for good.
// Where there is none (Linux before 5.10, kernel.io_uring_disabled, a container's own filter) each
// send is a call of its own.
//
// Thread: one at a time. Owns: the ring. Source: io_uring(7), io_uring_register(2) on
// IORING_REGISTER_RESTRICTIONS.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "shared/os/error.h"

struct io_uring;

namespace baton::proxy {

class SendRing {
 public:
  // In one row.
  static constexpr std::size_t kMostSends = 64;

  struct Send {
    int fd;
    std::span<const char> bytes;
    int result;  // how many were taken, or -errno
  };

  static os::Result<std::unique_ptr<SendRing>> make();
  ~SendRing();
  SendRing(const SendRing&) = delete;
  SendRing& operator=(const SendRing&) = delete;

  // Tries at most kMostSends, each on another socket, and sets their results. Returns how many it
  // has tried, from the first on; if that is not all, the ring must not be used any more.
  [[nodiscard]] std::size_t send(std::span<Send> row);

 private:
  explicit SendRing(std::unique_ptr<io_uring> ring);

  std::unique_ptr<io_uring> ring_;
};

// What a process starts with, for its workers; what they do not need is given back.
using SendRings = std::vector<std::unique_ptr<SendRing>>;

// As many as asked for, or fewer, for a reason that is logged. (Before Linux 5.12 they count
// against RLIMIT_MEMLOCK, 8 kB each.)
SendRings make_send_rings(std::size_t count);

}  // namespace baton::proxy

// The file that an access log is written to: a regular file, a FIFO, a terminal, or standard
// output.
//
// Thread: one at a time. Owns: the descriptor; its O_NONBLOCK is its own, because the open file is.
// Invariant: each write(2) ends at a line's end and, for a pipe, is small enough to be atomic, so
// that lines of several processes do not mix; except a line longer than that, and what a full disk
// cuts.
// Source: open(2) O_APPEND, pipe(7) PIPE_BUF, fifo(7).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy::http {

class LogFile {
 public:
  // `path`: absolute, or "stdout". A file that is not there is made, with mode 0640.
  static os::Result<LogFile> open(const std::string& path);

  int fd() const { return fd_.get(); }
  // Nobody has moved it away: there is nothing to open anew.
  bool is_same_file(const LogFile& other) const;

  enum class Outcome : std::uint8_t {
    Written,
    Full,    // poll(fd(), POLLOUT) says when it goes on
    Failed,  // errno says why; lines were lost
  };
  struct Progress {
    Outcome outcome = Outcome::Written;
    std::uint64_t lines_written = 0;
    std::uint64_t lines_lost = 0;
  };
  // One write(2) at most: takes what it has written, or lost, off the front of `lines`, which are
  // not empty and end with a line's end. With Full nothing is taken.
  Progress write(std::string_view& lines);
  // The last write has left the rest of a line at the front of `lines`.
  bool within_line() const { return within_line_; }

 private:
  enum class Kind : std::uint8_t { Regular, Pipe, Socket };

  LogFile(os::UniqueFd fd, Kind kind) : fd_(std::move(fd)), kind_(kind) {}
  static os::Result<LogFile> of(os::UniqueFd fd, const std::string& path);
  static os::Result<LogFile> open_stdout();
  std::size_t next_piece(std::string_view lines) const;
  std::int64_t write_once(std::string_view bytes) const;

  os::UniqueFd fd_;
  Kind kind_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool within_line_ = false;  // the last write ended in the middle of one
  bool torn_ = false;         // ... and the rest of that line is lost
};

}  // namespace baton::proxy::http

// The lines that one worker has for one access log and the writer has not taken yet.
//
// Thread: append() its worker's, take() the writer's. The lock is held for a copy or a swap, never
// during a system call.
// Invariant: no more than the limit is held, and only whole lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace baton::proxy::http {

class AccessLogQueue {
 public:
  explicit AccessLogQueue(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  AccessLogQueue(const AccessLogQueue&) = delete;
  AccessLogQueue& operator=(const AccessLogQueue&) = delete;

  // Dropped: there is no room. HalfFull: it has just become that.
  enum class Appended : std::uint8_t { Dropped, Kept, HalfFull };
  Appended append(std::string_view line);

  // Everything, in its order; `lines` is empty before and gives its memory in exchange.
  void take(std::string& lines);

 private:
  const std::size_t limit_bytes_;
  std::mutex mutex_;
  std::string lines_;  // guarded by mutex_
};

}  // namespace baton::proxy::http

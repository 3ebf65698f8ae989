// The thread that writes one access log: takes what the workers' queues hold, in batches, and
// appends it to the file. Only this thread waits for the file.
//
//            woken by a line            nothing came for a batch's time
//   asleep ------------------> awake ----------------------------------> asleep
//                               takes and writes every batch's time
//
// Thread: run() its own; the others as they say. Shared with AccessLogger: it may outlive that when
// the disk hangs in a write() at the end.
// Owns: the file, the queues. Borrows nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/access_log/access_log_queue.h"
#include "proxy/http/access_log/log_file.h"
#include "proxy/http/access_log/writer_counts.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy::http {

class AccessLogWriter {
 public:
  struct Counts {
    std::shared_ptr<WriterCounts> lane;
    region::Counter written;
    region::Counter dropped;
  };
  struct Options {
    std::size_t queue_bytes;
    std::chrono::milliseconds batch_time;
  };

  // `wake` is an eventfd(2), not blocking.
  AccessLogWriter(std::string path, LogFile file, os::UniqueFd wake, Counts counts,
                  Options options);

  void run() noexcept;

  // Thread: main. Valid as long as this.
  AccessLogQueue& add_queue();
  // Thread: any.
  void reopen();
  // Whether run() has ended. If not, it hangs in a write, and what is queued has been dropped.
  // Thread: main.
  bool close(std::chrono::milliseconds limit);
  // After an append, by the one who did it.
  void appended(AccessLogQueue::Appended result) {
    // Relaxed: whoever appends after the thread has looked into the queue has its lock after it.
    const bool sleeps = asleep_.load(std::memory_order_relaxed) && asleep_.exchange(false);
    if (sleeps || result == AccessLogQueue::Appended::HalfFull) wake();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void wake();
  // Everything the queues hold; whether that was anything.
  bool take_and_write();
  void write(std::string_view lines);
  // False: the time to close is over.
  bool wait_for_file(std::string_view& lines);
  void wait(std::optional<std::chrono::milliseconds> time, int file);
  void reopen_if_asked(std::string_view& rest);
  void drop(std::string_view lines);
  void warn(int error);
  std::optional<Clock::time_point> close_by();

  const std::string path_;
  const os::UniqueFd wake_;
  const Counts counts_;
  const Options options_;

  std::atomic<bool> asleep_{false};  // an append must wake the thread
  std::atomic<bool> reopen_{false};

  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;                                   // guarded by mutex_
  std::optional<Clock::time_point> close_by_;            // guarded by mutex_
  std::vector<std::unique_ptr<AccessLogQueue>> queues_;  // guarded by mutex_

  // The thread's alone.
  LogFile file_;
  std::vector<std::string> batches_;  // one for each queue
  std::optional<Clock::time_point> warned_;
};

}  // namespace baton::proxy::http

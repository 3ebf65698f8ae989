// One access log file of the process: workers hand it lines, a thread of its own writes them, so
// that a slow disk costs lines (counted) but never a worker's time.
//
//   worker 0 --append--> queue 0 --+
//   worker 1 --append--> queue 1 --+--take--> writer thread --write(2)--> file
//
// Both generations of a reload may append to one file: it is open with O_APPEND, and each write()
// ends where a line does. Lines wait for Options::batch_time at most.
// Thread: main, except where it says otherwise; it is made and started before the workers are and
// destroyed after they have ended.
// Owns: the file, the queues, the thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxy/stats/stats_store.h"
#include "shared/os/error.h"

namespace baton::proxy::http {

class AccessLogWriter;  // proxy/http/access_log/access_log_writer.h
class WriterCounts;     // proxy/http/access_log/writer_counts.h

// A worker's end of it; given to one worker, whose thread alone uses it.
class AccessLogSink {
 public:
  // A whole line with its end. Never blocks: without room it is dropped and counted.
  virtual void append(std::string_view line) = 0;

 protected:
  ~AccessLogSink() = default;
};

class AccessLogger {
 public:
  struct Options {
    std::size_t queue_bytes = std::size_t{1} << 20;  // lines of one worker that wait
    std::chrono::milliseconds batch_time{100};
  };

  // `path`: absolute, or "stdout". Error: it cannot be opened for appending.
  static os::Result<std::unique_ptr<AccessLogger>> open(const std::string& path, StatsStore& stats,
                                                        std::shared_ptr<WriterCounts> counts,
                                                        const Options& options);
  // close() with no time to wait, unless it has been called.
  ~AccessLogger();
  AccessLogger(const AccessLogger&) = delete;
  AccessLogger& operator=(const AccessLogger&) = delete;

  // Its thread starts, unless it has: from here on lines are written.
  void start();
  // Lives as long as this. Drops are counted in the worker's lane.
  AccessLogSink& add_worker(StatsLane& lane);

  // Lines appended after it has returned go to the file that has the path then (rotation by
  // rename). When that cannot be opened: logged, and the old file goes on. Thread: any.
  void reopen();
  // Writes what is there; what has not been written after `limit` is dropped and counted (but for a
  // batch that hangs in a write just then). Nothing is appended any more.
  void close(std::chrono::milliseconds limit);

 private:
  class Worker;

  AccessLogger(std::string path, region::MetricId dropped, std::shared_ptr<AccessLogWriter> writer);

  const std::string path_;
  const region::MetricId dropped_;
  std::shared_ptr<AccessLogWriter> writer_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::thread thread_;
};

}  // namespace baton::proxy::http

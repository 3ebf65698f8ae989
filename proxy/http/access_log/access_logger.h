// One access log file of the process: workers hand it lines, a thread of its own writes them, so
// that a slow disk costs lines (counted) but never a worker's time.
//
//   worker 0 --append--> queue 0 --+
//   worker 1 --append--> queue 1 --+--take--> writer thread --write(2)--> file
//
// Both generations of a reload may append to one file: it is open with O_APPEND, and each write()
// ends where a line does. The writer sleeps while there is nothing to write; lines wait for
// kBatchTime at most.
// Thread: main, except where it says otherwise; it is made before the workers start and destroyed
// after they have ended.
// Owns: the file, the queues, the thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "shared/os/error.h"

namespace baton::proxy {
class StatsLane;   // proxy/stats/stats_store.h
class StatsStore;  // proxy/stats/stats_store.h
}  // namespace baton::proxy

namespace baton::proxy::http {

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
  static constexpr std::size_t kQueueBytes = std::size_t{1} << 20;  // a worker's lines that wait
  static constexpr std::chrono::milliseconds kBatchTime{100};

  // `path`: absolute, or "stdout". Error: it cannot be opened or appended to.
  static os::Result<std::unique_ptr<AccessLogger>> open(const std::string& path, StatsStore& stats);
  // close() with no time to wait, unless it has been called.
  ~AccessLogger();
  AccessLogger(const AccessLogger&) = delete;
  AccessLogger& operator=(const AccessLogger&) = delete;

  // Lives as long as this. Drops are counted in the worker's lane, which outlives it.
  AccessLogSink& add_worker(StatsLane& lane);

  // Lines appended after it has returned go to the file that has the path then (rotation by
  // rename). When that cannot be opened: logged, and the old file goes on. Thread: any.
  void reopen();
  // Writes what is there; what has not been written after `limit` is dropped and counted. Nothing
  // is appended any more.
  void close(std::chrono::milliseconds limit);

 private:
  struct State;  // the thread's; outlives this when the disk hangs in a write() at the end
  class Worker;

  explicit AccessLogger(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace baton::proxy::http

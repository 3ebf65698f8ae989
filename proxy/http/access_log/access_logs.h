// All access logs of the process: listeners that name the same path share one file.
// Thread: main. Owns: the loggers.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "proxy/http/access_log/access_logger.h"

namespace baton::proxy::http {

class AccessLogs {
 public:
  // `stats` outlives this.
  explicit AccessLogs(StatsStore& stats, const AccessLogger::Options& options = {});
  // close() with no time to wait, unless it has been called.
  ~AccessLogs();
  AccessLogs(const AccessLogs&) = delete;
  AccessLogs& operator=(const AccessLogs&) = delete;

  // The log at that path, opened unless it is already. Error: it cannot be.
  os::Result<AccessLogger*> open(const std::string& path);

  // From here on lines are written; until then they wait. Threads start.
  void start();
  // USR1: every file is opened anew.
  void reopen();
  // At the end, when no worker appends any more; `limit` is for all of them together.
  void close(std::chrono::milliseconds limit);

 private:
  StatsStore& stats_;
  const AccessLogger::Options options_;
  std::shared_ptr<WriterCounts> counts_;  // made with the first log: it takes a lane
  std::map<std::string, std::unique_ptr<AccessLogger>> loggers_;
};

}  // namespace baton::proxy::http

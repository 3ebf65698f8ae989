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
  explicit AccessLogs(StatsStore& stats) : stats_(stats) {}

  // The log at that path, opened unless it is already. Error: it cannot be.
  os::Result<AccessLogger*> open(const std::string& path);

  // USR1: every file is opened anew.
  void reopen();
  // At the end, when no worker appends any more; `limit` is for all of them together.
  void close(std::chrono::milliseconds limit);

 private:
  StatsStore& stats_;
  std::map<std::string, std::unique_ptr<AccessLogger>> loggers_;
};

}  // namespace baton::proxy::http

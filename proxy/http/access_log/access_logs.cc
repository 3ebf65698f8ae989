#include "proxy/http/access_log/access_logs.h"

#include <algorithm>
#include <utility>

#include "proxy/http/access_log/writer_counts.h"

namespace baton::proxy::http {

using namespace std::chrono_literals;

AccessLogs::AccessLogs(StatsStore& stats, const AccessLogger::Options& options)
    : stats_(stats), options_(options) {}

AccessLogs::~AccessLogs() { close(0ms); }

os::Result<AccessLogger*> AccessLogs::open(const std::string& path) {
  const auto known = loggers_.find(path);
  if (known != loggers_.end()) return known->second.get();
  if (counts_ == nullptr) counts_ = std::make_shared<WriterCounts>(stats_.claim_lane());
  auto logger = AccessLogger::open(path, stats_, counts_, options_);
  if (!logger) return std::unexpected(std::move(logger.error()));
  return loggers_.emplace(path, *std::move(logger)).first->second.get();
}

void AccessLogs::start() {
  for (const auto& [path, logger] : loggers_) logger->start();
}

void AccessLogs::reopen() {
  for (const auto& [path, logger] : loggers_) logger->reopen();
}

void AccessLogs::close(std::chrono::milliseconds limit) {
  const auto by = std::chrono::steady_clock::now() + limit;
  for (const auto& [path, logger] : loggers_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        by - std::chrono::steady_clock::now());
    logger->close(std::max(left, 0ms));
  }
  if (counts_ != nullptr) counts_->close();
}

}  // namespace baton::proxy::http

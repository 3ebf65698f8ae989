#include "proxy/http/access_log/access_logger.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <utility>

#include "proxy/http/access_log/access_log_writer.h"
#include "shared/os/log.h"
#include "shared/region/sample.h"

namespace baton::proxy::http {
namespace {

using namespace std::chrono_literals;

region::MetricId resolve(StatsStore& stats, std::string name, const std::string& path,
                         std::string help) {
  return stats.resolve({.name = std::move(name),
                        .labels = region::label("file", path),
                        .help = std::move(help),
                        .kind = region::MetricKind::Counter});
}

// Signals are the main thread's. Blocked before the thread exists, so that none slips in.
std::thread start_thread(std::shared_ptr<AccessLogWriter> writer) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread([writer = std::move(writer)] {
    ::pthread_setname_np(::pthread_self(), "access-log");
    writer->run();
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

class AccessLogger::Worker final : public AccessLogSink {
 public:
  Worker(AccessLogWriter& writer, region::Counter dropped)
      : writer_(writer), queue_(writer.add_queue()), dropped_(dropped) {}

  void append(std::string_view line) override {
    const AccessLogQueue::Appended result = queue_.append(line);
    if (result == AccessLogQueue::Appended::Dropped) dropped_.add();
    writer_.appended(result);
  }

 private:
  AccessLogWriter& writer_;
  AccessLogQueue& queue_;
  const region::Counter dropped_;
};

os::Result<std::unique_ptr<AccessLogger>> AccessLogger::open(const std::string& path,
                                                             StatsStore& stats,
                                                             std::shared_ptr<WriterCounts> counts,
                                                             const Options& options) {
  auto file = LogFile::open(path);
  if (!file) return std::unexpected(std::move(file.error()));
  os::UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return os::errno_error("eventfd for access log", path);
  const region::MetricId dropped =
      resolve(stats, "baton_access_log_dropped_total", path,
              "Lines of the access log that were lost: the file was too slow, or full.");
  const region::MetricId written = resolve(stats, "baton_access_log_written_total", path,
                                           "Lines of the access log that were written.");
  const AccessLogWriter::Counts counters{
      .lane = counts, .written = counts->counter(written), .dropped = counts->counter(dropped)};
  auto writer =
      std::make_shared<AccessLogWriter>(path, *std::move(file), std::move(wake), counters,
                                        AccessLogWriter::Options{.queue_bytes = options.queue_bytes,
                                                                 .batch_time = options.batch_time});
  return std::unique_ptr<AccessLogger>(new AccessLogger(path, dropped, std::move(writer)));
}

AccessLogger::AccessLogger(std::string path, region::MetricId dropped,
                           std::shared_ptr<AccessLogWriter> writer)
    : path_(std::move(path)), dropped_(dropped), writer_(std::move(writer)) {}

AccessLogger::~AccessLogger() { close(0ms); }

void AccessLogger::start() {
  if (!thread_.joinable()) thread_ = start_thread(writer_);
}

AccessLogSink& AccessLogger::add_worker(StatsLane& lane) {
  workers_.push_back(std::make_unique<Worker>(*writer_, lane.counter(dropped_)));
  return *workers_.back();
}

void AccessLogger::reopen() { writer_->reopen(); }

void AccessLogger::close(std::chrono::milliseconds limit) {
  if (!thread_.joinable()) return;
  if (writer_->close(limit)) {
    thread_.join();
    return;
  }
  log::warning("the access log {} hangs; the rest of it is lost", path_);
  thread_.detach();
}

}  // namespace baton::proxy::http

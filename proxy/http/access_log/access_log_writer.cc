#include "proxy/http/access_log/access_log_writer.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "shared/os/log.h"

namespace baton::proxy::http {
namespace {

using namespace std::chrono_literals;

// A disk that is full stays so for a while.
constexpr auto kBetweenWarnings = 1min;
// Beyond the limit of close(): for the thread to see that it is over.
constexpr auto kGrace = 100ms;

}  // namespace

AccessLogWriter::AccessLogWriter(std::string path, LogFile file, os::UniqueFd wake, Counts counts,
                                 Options options)
    : path_(std::move(path)),
      wake_(std::move(wake)),
      counts_(std::move(counts)),
      options_(options),
      file_(std::move(file)) {}

void AccessLogWriter::run() noexcept {
  bool idle = false;  // nothing has come for a batch's time
  for (;;) {
    // Looked at first: what was appended before close() is there to be taken then.
    const bool closing = close_by().has_value();
    // Set before the queues are looked at: who appends after that sees it.
    asleep_.store(idle);
    const bool any = take_and_write();
    if (closing) break;
    if (idle && !any) {
      wait(std::nullopt, -1);
      idle = false;
    } else {
      asleep_.store(false);
      wait(options_.batch_time, -1);
      idle = !any;
    }
  }
  const std::scoped_lock lock(mutex_);
  ended_ = true;
  ended_changed_.notify_all();
}

AccessLogQueue& AccessLogWriter::add_queue() {
  const std::scoped_lock lock(mutex_);
  queues_.push_back(std::make_unique<AccessLogQueue>(options_.queue_bytes));
  return *queues_.back();
}

void AccessLogWriter::reopen() {
  reopen_.store(true);
  wake();
}

bool AccessLogWriter::close(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  close_by_ = Clock::now() + limit;
  wake();
  if (ended_changed_.wait_until(lock, *close_by_ + kGrace, [this] { return ended_; })) return true;
  for (const auto& queue : queues_) {
    std::string lines;
    queue->take(lines);
    drop(lines);
  }
  return false;
}

void AccessLogWriter::wake() { ::eventfd_write(wake_.get(), 1); }

bool AccessLogWriter::take_and_write() {
  {
    const std::scoped_lock lock(mutex_);
    batches_.resize(queues_.size());
    for (std::size_t i = 0; i < queues_.size(); ++i) queues_[i]->take(batches_[i]);
  }
  // Between taking and writing: a line that was appended after reopen() is in the new file.
  std::string_view nothing;
  reopen_if_asked(nothing);
  bool any = false;
  for (std::string& batch : batches_) {
    any = any || !batch.empty();
    write(batch);
    batch.clear();
  }
  // An idle log holds no memory; its queues get these strings in exchange.
  if (!any) batches_.clear();
  return any;
}

void AccessLogWriter::write(std::string_view lines) {
  while (!lines.empty()) {
    const LogFile::Progress progress = file_.write(lines);
    const int error = errno;
    counts_.lane->add(counts_.written, progress.lines_written);
    counts_.lane->add(counts_.dropped, progress.lines_lost);
    if (progress.outcome == LogFile::Outcome::Failed) warn(error);
    if (progress.outcome == LogFile::Outcome::Full && !wait_for_file(lines)) {
      drop(lines);
      return;
    }
  }
}

bool AccessLogWriter::wait_for_file(std::string_view& lines) {
  std::optional<std::chrono::milliseconds> left;
  if (const auto by = close_by()) {
    left = std::chrono::ceil<std::chrono::milliseconds>(*by - Clock::now());
    if (*left <= 0ms) return false;
  }
  wait(left, file_.fd());
  reopen_if_asked(lines);
  return true;
}

void AccessLogWriter::wait(std::optional<std::chrono::milliseconds> time, int file) {
  pollfd ready[] = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                    {.fd = file, .events = POLLOUT, .revents = 0}};  // -1 is passed over
  ::poll(ready, 2, time ? static_cast<int>(time->count()) : -1);
  eventfd_t ignored;
  if ((ready[0].revents & POLLIN) != 0) ::eventfd_read(wake_.get(), &ignored);
}

void AccessLogWriter::reopen_if_asked(std::string_view& rest) {
  if (!reopen_.exchange(false)) return;
  auto file = LogFile::open(path_);
  if (!file) {
    log::warning("{}; its old file goes on", file.error().text());
    return;
  }
  if (file_.is_same_file(*file)) return;
  // The new file begins with a line.
  if (file_.within_line() && !rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    drop(line);
    rest.remove_prefix(line.size());
  }
  file_ = *std::move(file);
}

void AccessLogWriter::drop(std::string_view lines) {
  counts_.lane->add(counts_.dropped, static_cast<std::uint64_t>(std::ranges::count(lines, '\n')));
}

void AccessLogWriter::warn(int error) {
  const auto now = Clock::now();
  if (warned_ && now - *warned_ < kBetweenWarnings) return;
  warned_ = now;
  log::warning("lines of the access log are lost: {}",
               os::Error{.code = error, .operation = "write", .object = path_}.text());
}

std::optional<AccessLogWriter::Clock::time_point> AccessLogWriter::close_by() {
  const std::scoped_lock lock(mutex_);
  return close_by_;
}

}  // namespace baton::proxy::http

#include "proxy/server/stats_reporter.h"

#include <algorithm>

namespace baton::proxy {
namespace {

constexpr double kReportSeconds = 1;
// The supervisor kills a process that has not left two seconds after its drain deadline.
constexpr double kFlushSeconds = 1;
constexpr std::chrono::milliseconds kNoDeadline{0};
// Keeps a report well below what a message may hold; what does not fit goes with the next one.
constexpr std::size_t kMaxReportBytes = 4 * 1024 * 1024;

std::string identity(const std::string& name, const std::string& labels) {
  return name + "{" + labels + "}";
}

}  // namespace

StatsReporter::StatsReporter(ev::loop_ref loop, StatsStore& store, proto::Channel& supervisor)
    : store_(store), supervisor_(&supervisor), tick_(loop), patience_(loop) {
  tick_.set<StatsReporter, &StatsReporter::on_tick>(this);
  patience_.set<StatsReporter, &StatsReporter::flushed>(this);
}

void StatsReporter::start() { tick_.start(kReportSeconds, kReportSeconds); }

void StatsReporter::go_on(proto::Channel& supervisor) {
  supervisor_ = &supervisor;
  in_flight_ = false;
  for (const StatsStore::PrivateMetric& metric : store_.private_metrics()) {
    const region::MetricDescription& description = metric.description;
    if (description.kind != region::MetricKind::Gauge) continue;
    reported_.erase(identity(description.name, description.labels));
  }
  store_.forget_reported_gauges();
  start();
}

void StatsReporter::on_tick(ev::timer&, int) noexcept {
  if (!in_flight_) report();
}

void StatsReporter::refresh(std::function<void()> done) {
  after_next_ = std::move(done);
  if (!in_flight_) report();
}

void StatsReporter::flush(std::function<void()> done) {
  tick_.stop();
  after_flush_ = std::move(done);
  patience_.start(kFlushSeconds);
  if (!in_flight_) report();
}

void StatsReporter::flushed() {
  patience_.stop();
  if (const auto done = std::exchange(after_flush_, nullptr)) done();
}

// Without a deadline: a channel delivers in order or closes, so that a report which is sent once is
// counted once, however late its answer comes.
void StatsReporter::report() {
  const proto::StatsDelta delta = delta_since_last();
  auto then = std::exchange(after_next_, nullptr);
  const bool empty = delta.metrics_size() == 0 && delta.moved_in() == 0 && delta.moved_out() == 0;
  if (empty || !supervisor_->open()) {
    if (then) then();
    return flushed();
  }
  in_flight_ = true;
  supervisor_->request<proto::Done>(
      proto::STATS_DELTA, delta, {}, kNoDeadline,
      [this, delta, then = std::move(then)](std::expected<proto::Done, proto::CallError> reply,
                                            proto::Fds) {
        in_flight_ = false;
        // Also what was refused: it would be again, and keep this process from leaving.
        acknowledge(delta);
        if (!reply && reply.error().code == proto::CallError::Code::Closed) tick_.stop();
        if (then) then();
        if (after_flush_ || after_next_) report();
      });
}

proto::StatsDelta StatsReporter::delta_since_last() const {
  proto::StatsDelta delta;
  const StatsStore::Moves moves = store_.private_moves();
  delta.set_moved_in(moves.in - reported_moves_.in);
  delta.set_moved_out(moves.out - reported_moves_.out);
  std::size_t bytes = 0;
  for (const StatsStore::PrivateMetric& metric : store_.private_metrics()) {
    const auto& description = metric.description;
    const auto before = reported_.find(identity(description.name, description.labels));
    proto::StatsDelta::Metric entry;
    bool changed = before == reported_.end();
    for (std::size_t i = 0; i < metric.cells.size(); ++i) {
      const std::uint64_t old = before == reported_.end() ? 0 : before->second[i];
      changed |= metric.cells[i] != old;
      entry.add_cells(static_cast<std::int64_t>(metric.cells[i] - old));
    }
    if (!changed) continue;
    entry.set_name(description.name);
    entry.set_labels(description.labels);
    entry.set_help(description.help);
    entry.set_kind(static_cast<std::uint32_t>(description.kind));
    entry.set_unit(static_cast<std::uint32_t>(description.unit));
    bytes += entry.ByteSizeLong();
    if (bytes > kMaxReportBytes) break;
    *delta.add_metrics() = std::move(entry);
  }
  return delta;
}

void StatsReporter::acknowledge(const proto::StatsDelta& delta) {
  reported_moves_.in += delta.moved_in();
  reported_moves_.out += delta.moved_out();
  for (const auto& metric : delta.metrics()) {
    const std::vector<std::uint64_t> change(metric.cells().begin(), metric.cells().end());
    store_.note_reported({.name = metric.name(),
                          .labels = metric.labels(),
                          .help = {},
                          .kind = static_cast<region::MetricKind>(metric.kind())},
                         change);
    std::vector<std::uint64_t>& cells = reported_[identity(metric.name(), metric.labels())];
    cells.resize(static_cast<std::size_t>(metric.cells_size()));
    for (int i = 0; i < metric.cells_size(); ++i) {
      cells[static_cast<std::size_t>(i)] += static_cast<std::uint64_t>(metric.cells(i));
    }
  }
}

}  // namespace baton::proxy

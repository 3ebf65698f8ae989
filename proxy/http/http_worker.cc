#include "proxy/http/http_worker.h"

#include <utility>

#include "proxy/http/connection_manager/stream.h"
#include "proxy/upstream/cluster.h"

namespace baton::proxy::http {

HttpWorker::HttpWorker(const Options& options)
    : options_(options),
      timeouts_(options.loop),
      clock_(options.loop),
      soon_event_(options.loop),
      reaper_(options.loop) {
  soon_event_.set<HttpWorker, &HttpWorker::run_due>(this);
  reaper_.set<HttpWorker, &HttpWorker::reap>(this);
}

HttpWorker::~HttpWorker() = default;

HttpWorker::ClusterUse::ClusterUse(HttpWorker& worker, Cluster& cluster)
    : pool({.loop = worker.options_.loop,
            .scratch = worker.options_.scratch,
            .timeouts = worker.timeouts_,
            .cluster = cluster}),
      context{.loop = worker.options_.loop,
              .pool = pool,
              .timeouts = worker.timeouts_,
              .clock = worker.clock_,
              .out = worker.request_out_,
              .stats =
                  UpstreamHttpStats(worker.options_.stats, worker.options_.lane, cluster.name())} {}

UpstreamRequest::Context& HttpWorker::context_of(Cluster& cluster) {
  auto& use = clusters_[&cluster];
  if (!use) use = std::make_unique<ClusterUse>(*this, cluster);
  return use->context;
}

std::string_view HttpWorker::date() {
  const std::time_t now = static_cast<std::time_t>(ev_now(options_.loop));
  if (now != date_second_) {
    date_second_ = now;
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char text[40];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc));
  }
  return date_;
}

std::unique_ptr<Stream> HttpWorker::take_stream() {
  if (spare_.empty()) return std::make_unique<Stream>(*this);
  std::unique_ptr<Stream> stream = std::move(spare_.back());
  spare_.pop_back();
  return stream;
}

void HttpWorker::retire(std::unique_ptr<Stream> stream) {
  retired_.push_back(std::move(stream));
  if (!reaper_.is_active()) reaper_.start();
}

void HttpWorker::run_soon(Timeout& timeout) {
  timeout.disarm();
  soon_.push_back(timeout);
  soon_event_.feed_event(ev::PREPARE);
}

// Not by reaper_: what a prepare watcher does is cleared away by others of them only when the loop
// has slept.
void HttpWorker::run_due() {
  boost::intrusive::list<Timeout, boost::intrusive::constant_time_size<false>> now;
  now.swap(soon_);
  while (!now.empty()) {
    Timeout& timeout = now.front();
    now.pop_front();
    timeout.fire();
  }
}

void HttpWorker::reap(ev::prepare&, int) {
  reaper_.stop();
  for (auto& stream : retired_) {
    stream->rest();
    if (spare_.size() < kSpareStreams) spare_.push_back(std::move(stream));
  }
  retired_.clear();
}

UpstreamPool* HttpWorker::find_pool(std::string_view cluster) const {
  for (const auto& [each, use] : clusters_) {
    if (each->name() == cluster) return &use->pool;
  }
  return nullptr;
}

}  // namespace baton::proxy::http

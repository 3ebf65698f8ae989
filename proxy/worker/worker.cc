#include "proxy/worker/worker.h"

#include <pthread.h>

#include <csignal>

#include "proxy/listener/active_listener.h"
#include "proxy/udp/udp_listener.h"
#include "shared/os/check.h"

namespace baton::proxy {

Worker::Worker(const Options& options)
    : index_(options.index),
      loop_(options.loop),
      lane_(options.pool.stats->claim_lane()),
      scratch_(kScratchBytes),
      http_(
          {.loop = loop_.ref(), .scratch = scratch_, .stats = *options.pool.stats, .lane = *lane_}),
      move_counters_(*options.pool.stats, *lane_),
      hooks_(options.pool.move_hooks),
      loans_({.loop = loop_.ref(),
              .listeners = datagrams_,
              .counters = move_counters_,
              .hooks = hooks_}) {
  const Config& config = *options.pool.config;
  for (std::size_t i = 0; i < options.clusters.size(); ++i) {
    clusters_.add(std::make_unique<Cluster>(options.clusters.cluster(i), index_,
                                            ClusterStats(options.clusters.metrics(i), *lane_)));
  }
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    listeners_.push_back(&add_listener(options, i));
  }
}

WorkerListener& Worker::add_listener(const Options& options, std::size_t index) {
  const ListenerConfig& config = options.pool.config->listeners[index];
  StatsStore& stats = *options.pool.stats;
  if (config.protocol == Protocol::Udp) {
    if (!batch_) batch_ = std::make_unique<udp::DatagramBatch>();
    Cluster* const cluster = clusters_.find(config.cluster);
    BATON_CHECK(cluster != nullptr);  // load_config() resolves every reference
    return *datagrams_.emplace_back(std::make_unique<udp::UdpListener>(
        udp::UdpListener::Options{.loop = loop_.ref(),
                                  .batch = *batch_,
                                  .config = config,
                                  .metrics = options.listeners[index],
                                  .stats = stats,
                                  .lane = *lane_,
                                  .held = held_,
                                  .cluster = *cluster}));
  }
  return *streams_.emplace_back(std::make_unique<ActiveListener>(
      ActiveListener::Options{.loop = loop_.ref(),
                              .scratch = scratch_,
                              .metrics = options.listeners[index],
                              .limit = options.limits[index],
                              .held = held_,
                              .filters = {.generation = options.pool.generation,
                                          .version = options.pool.version,
                                          .listener = config,
                                          .stats = stats,
                                          .lane = *lane_,
                                          .clusters = clusters_,
                                          .shared = &options.clusters.shared(),
                                          .drain = &drain_,
                                          .http = &http_,
                                          .access_logs = options.pool.access_logs}}));
}

Worker::~Worker() {
  if (thread_.joinable()) {
    loop_.stop();
    thread_.join();
  }
  held_.watch_empty(nullptr);
}

void Worker::start() {
  // Signals are the main thread's. Blocked before the thread exists, so that none slips in.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), ("worker-" + std::to_string(index_)).c_str());
    loop_.run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Who was refused, or could not move in time, has another chance. What has been offered to the
// workers before is settled with those.
void Worker::depart(std::vector<os::UniqueFd> channels) {
  if (!departures_.empty()) departures_.back()->retire();
  for (const auto& listener : streams_) {
    for (Session& session : listener->sessions()) session.set_stays(false);
  }
  departures_.push_back(std::make_unique<Departures>(Departures::Options{
      .loop = loop_.ref(),
      .channels = std::move(channels),
      .listeners = streams_,
      .http = http_,
      .counters = move_counters_,
      .drain = drain_,
      .hooks = hooks_,
      .settled = [this](Departures& settled) {
        std::erase_if(departures_, [&](const auto& each) { return each.get() == &settled; });
      }}));
}

void Worker::finish_moving(std::function<void()> done) {
  departures_.empty() ? done() : departures_.back()->finish(std::move(done));
}

void Worker::welcome(os::UniqueFd channel, os::UniqueFd old_process) {
  arrivals_.push_back(std::make_unique<Arrivals>(Arrivals::Options{
      .loop = loop_.ref(),
      .channel = std::move(channel),
      .old_process = std::move(old_process),
      .listeners = streams_,
      .http = http_,
      .counters = move_counters_,
      .hooks = hooks_,
      .over = [this](Arrivals& over) {
        std::erase_if(arrivals_, [&](const auto& each) { return each.get() == &over; });
      }}));
  if (refuses_arrivals_) arrivals_.back()->refuse();
}

void Worker::drain(std::chrono::milliseconds time, DrainStrategy strategy) {
  drain_.begin(time, strategy);
  for (WorkerListener* const listener : listeners_) listener->drain();
}

void Worker::refuse_arrivals() {
  refuses_arrivals_ = true;
  for (const auto& each : arrivals_) each->refuse();
}

void Worker::cut_connections() {
  for (WorkerListener* const listener : listeners_) listener->cut_connections();
}

}  // namespace baton::proxy

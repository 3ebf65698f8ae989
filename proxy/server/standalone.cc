#include "proxy/server/standalone.h"

#include <csignal>
#include <cstdio>

#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::proxy {

Standalone::Standalone(EventLoop& loop, const BuildInfo& build, Config config,
                       std::chrono::milliseconds drain_time, SendRings rings)
    : loop_(loop),
      build_(build),
      config_(std::move(config)),
      drain_time_(drain_time),
      rings_(std::move(rings)),
      deadline_(loop.ref()),
      terminate_(loop.ref()),
      interrupt_(loop.ref()),
      reopen_(loop.ref()) {
  deadline_.set<Standalone, &Standalone::on_deadline>(this);
  terminate_.set<Standalone, &Standalone::on_signal>(this);
  interrupt_.set<Standalone, &Standalone::on_signal>(this);
  reopen_.set<Standalone, &Standalone::on_reopen>(this);
}

Standalone::~Standalone() = default;

int Standalone::run() {
  terminate_.start(SIGTERM);
  interrupt_.start(SIGINT);
  reopen_.start(SIGUSR1);
  if (const auto started = start(); !started) {
    std::fprintf(stderr, "proxy: %s\n", started.error().text().c_str());
    return 1;
  }
  loop_.run();
  return exit_status_;
}

os::Result<void> Standalone::start() {
  auto stats = StatsStore::open(os::UniqueFd(), 0);
  if (!stats) return std::unexpected(stats.error());
  StatsStore* store = stats->get();
  auto logs = open_access_logs(config_, *store);
  if (!logs) return std::unexpected(logs.error());
  server_ = std::make_unique<Server>(
      ServerOptions{.loop = &loop_,
                    .config = std::move(config_),
                    .stats = std::move(*stats),
                    .access_logs = std::move(*logs),
                    .version = build_.version,
                    .stats_source = [store](auto deliver) { deliver(store->prometheus_text()); },
                    .rings = std::move(rings_)});
  if (const auto bound = server_->bind_missing(); !bound) {
    server_->sockets().remove_unix_paths_bound_here();
    return bound;
  }
  server_->start_workers();
  server_->warm_up([this] { serve(); });
  return {};
}

void Standalone::serve() {
  if (draining_) return;
  serving_ = true;
  const auto served = server_->serve([this] {
    for (const std::string& name : server_->listener_names()) log::info("serving {}", name);
  });
  if (served) return;
  std::fprintf(stderr, "proxy: %s\n", served.error().text().c_str());
  server_->sockets().remove_unix_paths_bound_here();
  exit_status_ = 1;
  loop_.stop();
}

void Standalone::on_signal(ev::sig& signal, int) noexcept {
  if (draining_) return loop_.stop();
  draining_ = true;
  log::info("signal {}: draining {} connections", signal.signum, server_->connections());
  // First: nobody new comes to a queue that is being emptied.
  server_->sockets().remove_unix_paths_bound_here();
  // While it warms up no connection can have come: its sockets do not listen.
  if (!serving_) return loop_.stop();
  deadline_.start(os::seconds(drain_time_));
  server_->set_drain(drain_time_, DrainStrategy::Gradual);
  server_->drain({}, [this] { server_->when_empty([this] { loop_.stop(); }); });
}

void Standalone::on_reopen(ev::sig&, int) noexcept {
  if (server_) server_->reopen_logs();
}

void Standalone::on_deadline(ev::timer&, int) noexcept {
  log::info("the drain deadline has passed with {} connections left", server_->connections());
  server_->cut_connections([this] { loop_.stop(); });
}

}  // namespace baton::proxy

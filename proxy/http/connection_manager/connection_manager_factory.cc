// Binding an HTTP listener to a worker: names become handles here, before the first connection.
#include "proxy/config/config.h"
#include "proxy/http/access_log/access_logs.h"
#include "proxy/http/connection_manager/connection_manager.h"
#include "proxy/text/variables.h"
#include "proxy/upstream/cluster_set.h"
#include "proxy/upstream/shared_state.h"
#include "shared/os/check.h"

namespace baton::proxy::http {
namespace {

constexpr std::chrono::milliseconds kForever = std::chrono::years(100);

TimeoutQueue* queue_of(HttpWorker& worker, const HttpTimeouts::Time& time) {
  return time && time->count() > 0 ? &worker.timeouts().of(*time) : nullptr;
}

}  // namespace

MakeNetworkFilter ConnectionManagerFactory::bind(const FilterContext& context) const {
  BATON_CHECK(context.http != nullptr && context.drain != nullptr && context.shared != nullptr);
  HttpWorker& worker = *context.http;
  const auto http = std::make_shared<HttpContext>(
      HttpContext{.config = *config_,
                  .worker = worker,
                  .drain = *context.drain,
                  .clusters = context.clusters,
                  .stats = HttpStats(context.stats, context.lane, context.listener.name),
                  .generation = context.generation,
                  .routes = config_->routes});
  for (const auto& filter : config_->filters) {
    http->filters.push_back(
        filter->bind({.generation = context.generation,
                      .version = context.version,
                      .listener = context.listener,
                      .position = static_cast<std::uint32_t>(http->filters.size()),
                      .stats = context.stats,
                      .lane = context.lane,
                      .rate_buckets = context.shared->rate_buckets(),
                      .drain = *context.drain}));
  }
  for (const std::string& name : config_->routes->clusters()) {
    Cluster* const cluster = context.clusters.find(name);
    BATON_CHECK(cluster != nullptr);  // load_config() resolves every reference
    http->upstreams.push_back(&worker.context_of(*cluster));
  }
  for (const Route& route : config_->routes->routes()) {
    const DirectResponseAction* const direct = route.direct_response();
    http->direct_bodies.push_back(
        direct == nullptr
            ? std::string()
            : replace_process_variables(direct->body, context.generation, context.version));
  }
  if (config_->access_log) {
    auto log = context.access_logs->open(config_->access_log->path);
    BATON_CHECK(log);  // Server opens them all before its workers are made
    http->access_log = &(*log)->add_worker(context.lane);
    http->log_format =
        config_->access_log->format->bound(context.listener.name, context.generation);
  }
  http->header_timeout = queue_of(worker, config_->timeouts.header);
  if (http->header_timeout == nullptr) http->header_timeout = &worker.timeouts().of(kForever);
  http->request_timeout = queue_of(worker, config_->timeouts.request);
  http->stream_idle_timeout = queue_of(worker, config_->timeouts.stream_idle);
  http->half_close_timeout = queue_of(worker, config_->timeouts.half_close);
  return [http](NetworkFilterCallbacks& callbacks) {
    return std::make_unique<ConnectionManager>(callbacks, *http);
  };
}

}  // namespace baton::proxy::http

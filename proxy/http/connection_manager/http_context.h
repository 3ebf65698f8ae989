// What all connections of one HTTP listener on one worker share.
// Thread: its worker's; made on the main thread before that runs.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "proxy/http/access_log/access_log_format.h"
#include "proxy/http/access_log/access_logger.h"
#include "proxy/http/filter/http_filter.h"
#include "proxy/http/http_config.h"
#include "proxy/http/http_metrics.h"
#include "proxy/http/http_worker.h"
#include "proxy/http/route/route_table.h"
#include "proxy/worker/drain_state.h"
#include "proxy/worker/slot.h"
#include "shared/os/random_seed.h"

namespace baton::proxy {
class ClusterSet;  // proxy/upstream/cluster_set.h
}

namespace baton::proxy::http {

struct HttpContext {
  const HttpConfig& config;
  HttpWorker& worker;
  DrainState& drain;
  ClusterSet& clusters;
  HttpStats stats;
  std::uint64_t generation = 0;
  std::vector<MakeHttpFilter> filters;
  std::shared_ptr<const RouteTable> routes;
  std::vector<UpstreamRequest::Context*> upstreams;  // by RouteTable::clusters()
  std::vector<std::string> direct_bodies;            // by Route::index; variables are replaced
  AccessLogSink* access_log = nullptr;               // null: nothing is logged
  std::optional<AccessLogFormat> log_format;
  std::string log_line;  // reused
  std::minstd_rand random{os::random_seed()};

  TimeoutQueue* header_timeout = nullptr;  // never null: it keeps when a head has begun, too
  // Null: for ever.
  TimeoutQueue* request_timeout = nullptr;
  TimeoutQueue* stream_idle_timeout = nullptr;
  TimeoutQueue* half_close_timeout = nullptr;
};

}  // namespace baton::proxy::http

#include "proxy/upstream/dns_endpoints.h"

#include <algorithm>
#include <utility>

#include "shared/os/log.h"

namespace baton::proxy {
namespace {

using std::chrono::seconds;

constexpr seconds kShortestTtl{1};
constexpr seconds kLongestTtl{3600};
constexpr seconds kLongestPause{30};

}  // namespace

DnsEndpoints::DnsEndpoints(ev::loop_ref loop, DnsResolver& resolver, const EndpointConfig& config,
                           EndpointSourceSink& sink)
    : loop_(loop), resolver_(resolver), config_(config), sink_(sink), timer_(loop) {
  timer_.set<DnsEndpoints, &DnsEndpoints::on_timer>(this);
}

void DnsEndpoints::look_up() {
  auto done = [this](std::expected<DnsResolver::Answer, std::string> answer) {
    on_answer(std::move(answer));
  };
  if (config_.kind == EndpointKind::Service) {
    resolver_.resolve_service(config_.host, std::move(done));
  } else {
    resolver_.resolve_host(config_.host, config_.port, std::move(done));
  }
}

void DnsEndpoints::on_answer(std::expected<DnsResolver::Answer, std::string> answer) {
  const bool was_pending = std::exchange(pending_, false);
  if (!answer) {
    pause_ = std::clamp(pause_ * 2, kShortestTtl, kLongestPause);
    look_again_in(pause_);
    if (answer.error() != last_error_) {
      log::warning("{}: {}; its addresses stay as they were", config_.host, answer.error());
    }
    last_error_ = answer.error();
    sink_.on_failure();
    if (was_pending) sink_.on_looked();
    return;
  }
  last_error_.clear();
  pause_ = seconds(0);
  look_again_in(std::clamp(answer->ttl, kShortestTtl, kLongestTtl));
  // A service's weights are its records'.
  if (config_.kind == EndpointKind::Host) {
    for (FoundEndpoint& endpoint : answer->endpoints) endpoint.weight = config_.weight;
  }
  const bool was_blind = std::exchange(blind_, false);
  if (!was_blind && answer->endpoints == found_) return;
  found_ = std::move(answer->endpoints);
  sink_.on_looked();
}

void DnsEndpoints::look_again_in(seconds time) {
  timer_.stop();
  ev_now_update(loop_);
  timer_.start(static_cast<double>(time.count()));
}

}  // namespace baton::proxy

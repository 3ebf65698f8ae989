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
  auto done = [this](std::expected<DnsResolver::Answer, DnsResolver::Failure> answer) {
    on_answer(std::move(answer));
  };
  if (config_.kind == EndpointKind::Service) {
    resolver_.resolve_service(config_.host, std::move(done));
  } else {
    resolver_.resolve_host(config_.host, config_.port, std::move(done));
  }
}

void DnsEndpoints::on_answer(std::expected<DnsResolver::Answer, DnsResolver::Failure> answer) {
  const bool was_pending = std::exchange(pending_, false);
  if (!answer) {
    on_failure(answer.error().text);
    if (was_pending) sink_.on_looked();
    return;
  }
  bool is_news = was_pending;
  if (answer->missing.empty()) {
    last_error_.clear();
    pause_ = seconds(0);
    look_again_in(std::clamp(answer->ttl, kShortestTtl, kLongestTtl));
    is_news = std::exchange(blind_, false) || is_news;
  } else {
    on_failure(answer->missing);
    keep_known(*answer);
  }
  hosts_ = std::move(answer->hosts);
  // A service's weights are its records'.
  if (config_.kind == EndpointKind::Host) {
    for (FoundEndpoint& endpoint : answer->endpoints) endpoint.weight = config_.weight;
  }
  if (!is_news && answer->endpoints == found_) return;
  found_ = std::move(answer->endpoints);
  sink_.on_looked();
}

void DnsEndpoints::on_failure(const std::string& error) {
  pause_ = std::clamp(pause_ * 2, kShortestTtl, kLongestPause);
  look_again_in(pause_);
  if (error != last_error_) {
    log::warning("{}: {}; its addresses stay as they were", config_.host, error);
  }
  last_error_ = error;
  sink_.on_failure();
}

// A service's host that could not be looked up keeps its addresses.
void DnsEndpoints::keep_known(DnsResolver::Answer& answer) const {
  for (auto& [host, found] : answer.hosts) {
    const auto before = hosts_.find(host);
    if (found || before == hosts_.end() || !before->second) continue;
    found = before->second;
    for (const FoundEndpoint& known : *found) {
      const bool is_there = std::ranges::find(answer.endpoints, known.address,
                                              &FoundEndpoint::address) != answer.endpoints.end();
      if (!is_there) answer.endpoints.push_back(known);
    }
  }
  std::ranges::sort(answer.endpoints, {},
                    [](const FoundEndpoint& each) { return each.address.text(); });
}

void DnsEndpoints::look_again_in(seconds time) {
  timer_.stop();
  ev_now_update(loop_);
  timer_.start(static_cast<double>(time.count()));
}

}  // namespace baton::proxy

#include "proxy/http/http_metrics.h"

#include "shared/region/sample.h"

namespace baton::proxy::http {
namespace {

using region::MetricKind;
using region::MetricUnit;

class Names {
 public:
  Names(StatsStore& store, std::string prefix, std::string labels)
      : store_(store), prefix_(std::move(prefix)), labels_(std::move(labels)) {}

  region::MetricId id(const char* name, const char* help, MetricKind kind,
                      MetricUnit unit = MetricUnit::None, const std::string& more_labels = "") {
    return store_.resolve({.name = prefix_ + name,
                           .labels = more_labels.empty() ? labels_ : labels_ + "," + more_labels,
                           .help = help,
                           .kind = kind,
                           .unit = unit});
  }

 private:
  StatsStore& store_;
  std::string prefix_;
  std::string labels_;
};

constexpr std::array<const char*, kStatusClasses> kClassNames{"1xx", "2xx", "3xx", "4xx", "5xx"};

}  // namespace

HttpStats::HttpStats(StatsStore& store, StatsLane& lane, const std::string& listener) {
  Names names(store, "baton_http_", region::label("listener", listener));
  requests_total = lane.counter(names.id(
      "requests_total", "Requests received, those refused included.", MetricKind::Counter));
  requests_active =
      lane.gauge(names.id("requests_active", "Requests in progress.", MetricKind::Gauge));
  for (std::size_t i = 0; i < kStatusClasses; ++i) {
    responses_total[i] = lane.counter(
        names.id("responses_total", "Responses sent, by the class of their status.",
                 MetricKind::Counter, MetricUnit::None, region::label("class", kClassNames[i])));
  }
  rejected_total = lane.counter(
      names.id("rejected_total", "Requests refused for their syntax.", MetricKind::Counter));
  resets_total = lane.counter(names.id(
      "resets_total", "Responses that could not be sent to their end.", MetricKind::Counter));
  upgrades_total = lane.counter(
      names.id("upgrades_total", "Tunnels opened by Upgrade or CONNECT.", MetricKind::Counter));
  duration_microseconds = lane.histogram(names.id(
      "request_duration_seconds", "From a request's first byte to the end of its response.",
      MetricKind::Histogram, MetricUnit::Microseconds));
}

UpstreamHttpStats::UpstreamHttpStats(StatsStore& store, StatsLane& lane,
                                     const std::string& cluster) {
  Names names(store, "baton_upstream_", region::label("cluster", cluster));
  requests_total = lane.counter(
      names.id("requests_total", "Requests sent, each attempt counted.", MetricKind::Counter));
  requests_active =
      lane.gauge(names.id("requests_active", "Requests in progress.", MetricKind::Gauge));
  retries_total =
      lane.counter(names.id("retries_total", "Requests sent once more.", MetricKind::Counter));
  timeouts_total = lane.counter(
      names.id("timeouts_total", "Requests that got no answer in time.", MetricKind::Counter));
  resets_total = lane.counter(
      names.id("resets_total", "Connections that ended in the middle of a response, or before one.",
               MetricKind::Counter));
  protocol_errors_total = lane.counter(
      names.id("protocol_errors_total", "Responses that are not valid HTTP.", MetricKind::Counter));
  first_byte_microseconds = lane.histogram(
      names.id("first_byte_seconds", "From the end of the request to the response's head.",
               MetricKind::Histogram, MetricUnit::Microseconds));
}

}  // namespace baton::proxy::http

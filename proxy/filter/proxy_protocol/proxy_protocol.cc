#include "proxy/filter/proxy_protocol/proxy_protocol.h"

#include <algorithm>
#include <utility>

#include "proxy/config/config.h"
#include "proxy/config/table_reader.h"
#include "proxy/filter/ip_filter/read_ip_rules.h"
#include "proxy/filter/proxy_protocol/proxy_header_parser.h"
#include "proxy/network/tunnel_state.h"
#include "proxy/stats/stats_store.h"
#include "shared/os/seconds.h"

namespace baton::proxy {

using namespace std::chrono_literals;

namespace {

// So many bytes of a header are taken for one that has begun: "PROXY ".
constexpr std::size_t kBegun = 6;
constexpr std::chrono::milliseconds kSecondLook{10};

}  // namespace

ProxyProtocol::ProxyProtocol(NetworkFilterCallbacks& callbacks, const ProxyProtocolConfig& config,
                             region::Counter rejected)
    : callbacks_(callbacks), config_(config), rejected_(rejected), timer_(callbacks.loop()) {
  timer_.set<ProxyProtocol, &ProxyProtocol::on_timeout>(this);
}

// Who speaks first is the client's proxy, whatever the protocol behind it: nothing goes on before.
FilterStatus ProxyProtocol::on_new_connection() {
  if (!config_.proxies.admits(callbacks_.remote_address())) {
    reject();
    return FilterStatus::StopIteration;
  }
  waiting_ = true;
  timer_.start(os::seconds(config_.timeout));
  return FilterStatus::StopIteration;
}

FilterStatus ProxyProtocol::on_data(Buffer& data, EndOfStream end) {
  if (waiting_) read_header(data);
  if (!waiting_) return closed_ ? FilterStatus::StopIteration : FilterStatus::Continue;
  if (end == EndOfStream::Yes) reject();
  return FilterStatus::StopIteration;
}

void ProxyProtocol::read_header(Buffer& data) {
  if (to_skip_ > 0) return pass_after(data, to_skip_);
  const ProxyHeader header = parse_proxy_header(data.view());
  switch (header.status) {
    case ProxyHeader::Status::NeedMore:
      begun_ = data.size() >= kBegun;
      return;
    case ProxyHeader::Status::Wrong:
      return reject();
    case ProxyHeader::Status::Absent:
      return config_.required ? reject() : pass_after(data, 0);
    case ProxyHeader::Status::Complete:
      break;
  }
  if (header.names_client) callbacks_.tunnel().client = header.client;
  pass_after(data, header.size);
}

// The type-length-values at a header's end may be long; they are dropped as they come.
void ProxyProtocol::pass_after(Buffer& data, std::size_t header_bytes) {
  const std::size_t here = std::min(header_bytes, data.size());
  data.consume(here);
  to_skip_ = static_cast<std::uint32_t>(header_bytes - here);
  if (to_skip_ > 0) return;
  waiting_ = false;
  timer_.stop();
}

void ProxyProtocol::reject() {
  rejected_.add();
  callbacks_.close(CloseMode::Now);
}

// The loop tells of timers first: what came in time, while this process was kept from running, is
// read before the second look. A server that speaks first has nobody to wait for: a client without
// a header says nothing either.
void ProxyProtocol::on_timeout(ev::timer&, int) {
  if (!std::exchange(late_, true)) return timer_.start(os::seconds(kSecondLook));
  if (config_.required || begun_ || to_skip_ > 0) return reject();
  waiting_ = false;
  callbacks_.continue_reading();
}

void ProxyProtocol::on_close(CloseMode, CloseCause) {
  closed_ = true;
  waiting_ = false;
  timer_.stop();
}

std::shared_ptr<const NetworkFilterFactory> ProxyProtocolFactory::parse(TableReader& table) {
  ProxyProtocolConfig config;
  if (table.has("from")) config.proxies.allow = read_ip_ranges(table, "from");
  config.required = table.boolean("required").value_or(config.required);
  config.timeout = table.duration("timeout", 1ms, 1h).value_or(config.timeout);
  return std::make_shared<ProxyProtocolFactory>(std::move(config));
}

MakeNetworkFilter ProxyProtocolFactory::bind(const FilterContext& context) const {
  const region::Counter rejected = context.lane.counter(context.stats.resolve({
      .name = "baton_proxy_protocol_rejected_total",
      .labels = "listener=\"" + context.listener.name + "\"",
      .help = "Connections closed for want of a good PROXY protocol header.",
      .kind = region::MetricKind::Counter,
  }));
  return [this, rejected](NetworkFilterCallbacks& callbacks) {
    return std::make_unique<ProxyProtocol>(callbacks, config_, rejected);
  };
}

}  // namespace baton::proxy

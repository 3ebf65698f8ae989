#include "proxy/filter/ip_filter/ip_filter.h"

#include "proxy/config/config.h"
#include "proxy/filter/ip_filter/read_ip_rules.h"
#include "proxy/stats/stats_store.h"
#include "shared/region/sample.h"

namespace baton::proxy {
FilterStatus IpFilter::on_new_connection() {
  if (rules_.admits(callbacks_.remote_address())) return FilterStatus::Continue;
  refused_.add();
  callbacks_.close(CloseMode::Now);
  return FilterStatus::StopIteration;
}

std::shared_ptr<const NetworkFilterFactory> IpFilterFactory::parse(TableReader& table) {
  return std::make_shared<IpFilterFactory>(read_ip_rules(table));
}

MakeNetworkFilter IpFilterFactory::bind(const FilterContext& context) const {
  const region::Counter refused = context.lane.counter(context.stats.resolve({
      .name = "baton_ip_filter_refused_total",
      .labels = region::label("listener", context.listener.name),
      .help = "Connections refused for the client's address.",
      .kind = region::MetricKind::Counter,
  }));
  return [this, refused](NetworkFilterCallbacks& callbacks) {
    return std::make_unique<IpFilter>(callbacks, rules_, refused);
  };
}

}  // namespace baton::proxy

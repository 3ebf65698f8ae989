#include "proxy/filter/ip_filter/ip_filter.h"

#include <string>
#include <utility>

#include "proxy/config/config.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/table_reader.h"
#include "proxy/stats/stats_store.h"

namespace baton::proxy {
namespace {

std::vector<IpRange> read_ranges(TableReader& table, std::string_view key) {
  std::vector<IpRange> ranges;
  const auto texts = table.strings(key);
  if (!texts) return ranges;
  const std::string allowed = "; allowed: " + std::string(IpRange::kSyntax);
  if (texts->empty()) table.error(key, "is empty" + allowed);
  for (std::size_t i = 0; i < texts->size(); ++i) {
    const std::string& text = (*texts)[i];
    if (const auto range = IpRange::parse(text)) {
      ranges.push_back(*range);
    } else {
      table.element_error(key, i, in_quotes(text) + " " + range.error() + allowed);
    }
  }
  return ranges;
}

}  // namespace

FilterStatus IpFilter::on_new_connection() {
  if (rules_.admits(callbacks_.remote_address())) return FilterStatus::Continue;
  refused_.add();
  callbacks_.close(CloseMode::Now);
  return FilterStatus::StopIteration;
}

std::shared_ptr<const NetworkFilterFactory> IpFilterFactory::parse(TableReader& table) {
  IpRules rules{.allow = read_ranges(table, "allow"), .deny = read_ranges(table, "deny")};
  if (!table.has("allow") && !table.has("deny")) {
    table.error("allow", "is missing, and so is deny; allowed: either or both");
  }
  return std::make_shared<IpFilterFactory>(std::move(rules));
}

MakeNetworkFilter IpFilterFactory::bind(const FilterContext& context) const {
  const region::Counter refused = context.lane.counter(context.stats.resolve({
      .name = "baton_ip_filter_refused_total",
      .labels = "listener=\"" + context.listener.name + "\"",
      .help = "Connections refused for the client's address.",
      .kind = region::MetricKind::Counter,
  }));
  return [this, refused](NetworkFilterCallbacks& callbacks) {
    return std::make_unique<IpFilter>(callbacks, rules_, refused);
  };
}

}  // namespace baton::proxy

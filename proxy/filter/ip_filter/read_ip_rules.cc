#include "proxy/filter/ip_filter/read_ip_rules.h"

#include <string>

#include "proxy/config/in_quotes.h"
#include "proxy/config/table_reader.h"

namespace baton::proxy {
std::vector<IpRange> read_ip_ranges(TableReader& table, std::string_view key) {
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

IpRules read_ip_rules(TableReader& table) {
  IpRules rules{.allow = read_ip_ranges(table, "allow"), .deny = read_ip_ranges(table, "deny")};
  if (!table.has("allow") && !table.has("deny")) {
    table.error("allow", "is missing, and so is deny; allowed: either or both");
  }
  return rules;
}

}  // namespace baton::proxy

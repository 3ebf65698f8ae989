// Reads ranges of addresses, and the keys of an ip_filter of whatever protocol: `allow` and `deny`.
// Thread: main.
#pragma once

#include <string_view>
#include <vector>

#include "proxy/filter/ip_filter/ip_rules.h"

namespace baton::proxy {

class TableReader;

// Mistakes are recorded in the reader. An array of ranges, one or more; absent: empty.
std::vector<IpRange> read_ip_ranges(TableReader& table, std::string_view key);
IpRules read_ip_rules(TableReader& table);

}  // namespace baton::proxy

// The keys of an ip_filter, of whatever protocol: `allow` and `deny`.
// Thread: main.
#pragma once

#include "proxy/filter/ip_filter/ip_rules.h"

namespace baton::proxy {

class TableReader;

// Mistakes are recorded in the reader.
IpRules read_ip_rules(TableReader& table);

}  // namespace baton::proxy

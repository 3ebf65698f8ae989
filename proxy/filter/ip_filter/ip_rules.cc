#include "proxy/filter/ip_filter/ip_rules.h"

#include <algorithm>

namespace baton::proxy {

bool IpRules::admits(const os::SocketAddress& client) const {
  const auto has_client = [&client](const IpRange& range) { return range.contains(client); };
  if (std::ranges::any_of(deny, has_client)) return false;
  return allow.empty() || std::ranges::any_of(allow, has_client);
}

}  // namespace baton::proxy

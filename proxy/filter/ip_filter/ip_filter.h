// Network filter: refuses clients by their address. A refused connection is closed before any other
// filter of the chain has heard of it, so no upstream connection is made, and is counted.
//
// Thread: its worker's. Borrows: rules, counter and callbacks.
#pragma once

#include <memory>

#include "proxy/filter/ip_filter/ip_rules.h"
#include "proxy/filter/network_filter.h"
#include "shared/region/metric.h"

namespace baton::proxy {

class TableReader;

class IpFilter final : public NetworkFilter {
 public:
  IpFilter(NetworkFilterCallbacks& callbacks, const IpRules& rules, region::Counter refused)
      : callbacks_(callbacks), rules_(rules), refused_(refused) {}

  FilterStatus on_new_connection() override;
  // It has decided by then: a connection that is open has nothing of this filter's to keep.
  bool freeze() override { return true; }

 private:
  NetworkFilterCallbacks& callbacks_;
  const IpRules& rules_;
  region::Counter refused_;
};

class IpFilterFactory final : public NetworkFilterFactory {
 public:
  explicit IpFilterFactory(IpRules rules) : rules_(std::move(rules)) {}

  // Reads `allow` and `deny`.
  static std::shared_ptr<const NetworkFilterFactory> parse(TableReader& table);
  MakeNetworkFilter bind(const FilterContext& context) const override;

 private:
  IpRules rules_;
};

}  // namespace baton::proxy

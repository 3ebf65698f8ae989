// HTTP filter: refuses requests by the client's address, the real one behind trusted proxies, with
// 403. The rules are those of the network filter of the same name (proxy/filter/ip_filter), which
// sees only who has opened the connection.
//
// Thread: its worker's. Borrows: the factory's rules.
#pragma once

#include <memory>

#include "proxy/filter/ip_filter/ip_rules.h"
#include "proxy/http/filter/http_filter.h"
#include "shared/region/metric.h"

namespace baton::proxy {
class TableReader;
}

namespace baton::proxy::http {

class IpFilter final : public HttpFilter {
 public:
  IpFilter(const IpRules& rules, region::Counter refused) : rules_(rules), refused_(refused) {}

  HttpFilterStatus decode_headers(RequestHead& head, EndOfStream end) override;

 private:
  const IpRules& rules_;
  region::Counter refused_;
};

class IpFilterFactory final : public HttpFilterFactory {
 public:
  explicit IpFilterFactory(IpRules rules) : rules_(std::move(rules)) {}

  // Reads `allow` and `deny`.
  static std::shared_ptr<const HttpFilterFactory> parse(TableReader& table);
  MakeHttpFilter bind(const HttpFilterContext& context) const override;

 private:
  IpRules rules_;
};

}  // namespace baton::proxy::http

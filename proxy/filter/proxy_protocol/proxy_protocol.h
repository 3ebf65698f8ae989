// Network filter: takes the header of the PROXY protocol off the front of a connection, and
// believes what it says about the client. Filters behind it start once the header is complete, see
// the real client as remote_address(), and the bytes behind the header.
//
//   on_new_connection ─► waiting ── complete, or absent and not required ─► passing
//         │                 ├── time is up, none has begun, not required ─► passing
//         │                 └── wrong, absent, half-closed, time is up ───► closed (Now)
//         └── from elsewhere than it should ──────────────────────────────────┘
//
// Thread: its worker's. Owns: its timer. Borrows: the factory's configuration, counter, callbacks.
#pragma once

#include <ev++.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "proxy/filter/ip_filter/ip_rules.h"
#include "proxy/filter/network_filter.h"
#include "shared/region/metric.h"

namespace baton::proxy {

class TableReader;

struct ProxyProtocolConfig {
  IpRules proxies;  // who may connect, and is believed
  // False: a connection that does not begin with a header is what it looks like, so that every
  // client may say who it is.
  bool required = true;
  std::chrono::milliseconds timeout{5000};
};

class ProxyProtocol final : public NetworkFilter {
 public:
  ProxyProtocol(NetworkFilterCallbacks& callbacks, const ProxyProtocolConfig& config,
                region::Counter rejected);

  FilterStatus on_new_connection() override;
  FilterStatus on_data(Buffer& data, EndOfStream end) override;
  void on_close(CloseMode mode, CloseCause cause) override;
  // Once the header is complete there is nothing left of it.
  bool freeze() override { return !waiting_; }

 private:
  void read_header(Buffer& data);
  void pass_after(Buffer& data, std::size_t header_bytes);
  void reject();
  void on_timeout(ev::timer& timer, int events);

  NetworkFilterCallbacks& callbacks_;
  const ProxyProtocolConfig& config_;
  region::Counter rejected_;
  ev::timer timer_;            // active while waiting
  std::uint32_t to_skip_ = 0;  // of the header's end, which has not come yet
  bool begun_ = false;         // what has come is the beginning of one
  bool late_ = false;
  bool waiting_ = false;
  bool closed_ = false;
};

class ProxyProtocolFactory final : public NetworkFilterFactory {
 public:
  explicit ProxyProtocolFactory(ProxyProtocolConfig config) : config_(std::move(config)) {}

  // Reads `from`, `required` and `timeout`.
  static std::shared_ptr<const NetworkFilterFactory> parse(TableReader& table);
  MakeNetworkFilter bind(const FilterContext& context) const override;

 private:
  ProxyProtocolConfig config_;
};

}  // namespace baton::proxy

// HTTP filter, for testing how clients cope: delays some requests, and answers or resets some
// instead of forwarding them.
//
//   decode_headers ─► (delay) ─┬─► the next filter
//                              └─► an answer of its own, or a reset
//
// Thread: its worker's. Owns: its timer. Borrows: what bind() has made.
#pragma once

#include <ev++.h>

#include <memory>
#include <random>

#include "proxy/http/filter/fault/fault_plan.h"
#include "proxy/http/filter/http_filter.h"
#include "shared/os/random_seed.h"
#include "shared/region/metric.h"

namespace baton::proxy {
class TableReader;
}

namespace baton::proxy::http {

class Fault final : public HttpFilter {
 public:
  // What all requests of one listener on one worker share.
  struct Shared {
    region::Counter delays_total;
    region::Counter aborts_total;
    std::minstd_rand random{os::random_seed()};
  };

  Fault(const FaultConfig& config, Shared& shared) : config_(config), shared_(shared) {}

  HttpFilterStatus decode_headers(RequestHead& head, EndOfStream end) override;
  void on_stream_end() override;

 private:
  void on_delay_over(ev::timer& timer, int events);
  void abort();

  const FaultConfig& config_;
  Shared& shared_;
  FaultPlan plan_;
  std::unique_ptr<ev::timer> timer_;  // while it delays
};

class FaultFactory final : public HttpFilterFactory {
 public:
  explicit FaultFactory(const FaultConfig& config) : config_(config) {}

  // Reads `delay`, `delay_percent`, `abort_status`, `abort_reset`, `abort_percent`, `by_request`.
  static std::shared_ptr<const HttpFilterFactory> parse(TableReader& table);
  MakeHttpFilter bind(const HttpFilterContext& context) const override;

 private:
  FaultConfig config_;
};

}  // namespace baton::proxy::http

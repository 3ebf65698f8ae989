// The endpoints behind one name, looked up again when the answer has expired. While there is no
// answer the last one counts; tries get rarer, from each second to each half minute.
//
// Thread: main. Borrows: the resolver, the sink; both outlive it, and the resolver drops its
// look-up before it goes.
#pragma once

#include <ev++.h>

#include <expected>
#include <string>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/upstream/dns_resolver.h"
#include "proxy/upstream/endpoint_source.h"

namespace baton::proxy {

class DnsEndpoints final : public EndpointSource {
 public:
  // `config` is of kind Host or Service.
  DnsEndpoints(ev::loop_ref loop, DnsResolver& resolver, const EndpointConfig& config,
               EndpointSourceSink& sink);
  DnsEndpoints(const DnsEndpoints&) = delete;
  DnsEndpoints& operator=(const DnsEndpoints&) = delete;

  void start() override { look_up(); }

 private:
  void look_up();
  void on_answer(std::expected<DnsResolver::Answer, DnsResolver::Failure> answer);
  void on_failure(const std::string& error);
  void keep_known(DnsResolver::Answer& answer) const;
  void look_again_in(std::chrono::seconds time);
  void on_timer(ev::timer&, int) noexcept { look_up(); }

  ev::loop_ref loop_;
  DnsResolver& resolver_;
  const EndpointConfig& config_;
  EndpointSourceSink& sink_;
  decltype(DnsResolver::Answer::hosts) hosts_;  // of a service, as they were known last
  std::string last_error_;                      // empty: the last answer was good
  std::chrono::seconds pause_{0};
  ev::timer timer_;
};

}  // namespace baton::proxy

// All there is to a session: what has to travel when it moves to another process, beside the name
// of its listener. The rest (watchers, timeouts, the place in the flow table) is made anew.
// Thread: its worker's.
#pragma once

#include <chrono>
#include <memory>

#include "proxy/network/coarse_clock.h"
#include "proxy/udp/flow_key.h"
#include "proxy/upstream/endpoint.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy::udp {

struct SessionState {
  FlowKey flow;
  os::UniqueFd upstream;  // a UDP socket of its own, connected to the endpoint
  std::shared_ptr<const Endpoint> endpoint;
  std::chrono::steady_clock::time_point opened;
  CoarseClock::time_point last_activity;  // of either direction
  bool answered = false;                  // the endpoint has said something
};

}  // namespace baton::proxy::udp

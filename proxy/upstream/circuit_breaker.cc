#include "proxy/upstream/circuit_breaker.h"

#include "proxy/upstream/connection_queue.h"

namespace baton::proxy {

void CircuitCount::hand_on() { queue->hand_on(); }

}  // namespace baton::proxy

// Where endpoints of a cluster come from, as far as they are not simply written down: DNS, a file.
// Thread: main.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "shared/os/socket_address.h"

namespace baton::proxy {

struct FoundEndpoint {
  os::SocketAddress address;
  std::uint32_t weight = 1;
  std::uint16_t priority = 0;  // as an Endpoint's

  friend bool operator==(const FoundEndpoint&, const FoundEndpoint&) = default;
};

// Who hears of it.
class EndpointSourceSink {
 public:
  // The source has looked: found() may be another, or it is no longer pending().
  virtual void on_looked() = 0;
  // Looking was of no use; what was found before is still there.
  virtual void on_failure() = 0;

 protected:
  ~EndpointSourceSink() = default;
};

class EndpointSource {
 public:
  virtual ~EndpointSource() = default;
  // Looks, now and whenever something may have changed; may tell the sink at once.
  virtual void start() = 0;
  const std::vector<FoundEndpoint>& found() const { return found_; }
  // Nobody knows yet what it will find, not even that it fails.
  bool pending() const { return pending_; }
  // Looking has never been of use yet: found() is not what there is.
  bool blind() const { return blind_; }

 protected:
  std::vector<FoundEndpoint> found_;
  bool pending_ = true;
  bool blind_ = true;
};

}  // namespace baton::proxy

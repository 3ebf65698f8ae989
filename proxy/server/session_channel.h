// A channel over which a worker of the old generation lends UDP sessions to one of the new, as one
// main thread hands it to the other. Thread: main; a plain value.
#pragma once

#include <cstdint>

#include "shared/os/unique_fd.h"

namespace baton::proxy {

struct SessionChannel {
  std::uint32_t worker = 0;  // of the new generation
  os::UniqueFd fd;           // its end
};

}  // namespace baton::proxy

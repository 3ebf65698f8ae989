// The state in a memory file that is written over and over: whoever holds a descriptor of it, such
// as the service manager's store, holds the state as it is. There is room for two, written in turn,
// so that a writer that is killed leaves a whole one. Never mapped: its size is nobody's promise.
//
// Thread: any. Borrows: the descriptor.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"
#include "supervisor/state_codec.h"

namespace baton::supervisor {

os::Result<os::UniqueFd> create_state_memory();

class StateMemory {
 public:
  // One that was written to before goes on in the place of the older state.
  explicit StateMemory(int fd);

  os::Result<void> write(std::string_view bytes);

 private:
  int fd_;
  int next_ = 0;
};

// The later one of those that are whole. Error: there is none, or a later release has written one.
std::expected<DecodedState, StateError> read_state_memory(int fd);

}  // namespace baton::supervisor

// The addresses that a configuration listens on, each used once however it is spelled.
// Thread: main.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "proxy/config/table_reader.h"
#include "shared/os/socket_address.h"

namespace baton::proxy {

class ListeningAddresses {
 public:
  // Reads the `address` of a section; it is required. Nothing: not one to listen on; recorded.
  std::optional<os::SocketAddress> take(TableReader& section);

 private:
  std::map<std::string, std::uint32_t> line_of_;
};

}  // namespace baton::proxy

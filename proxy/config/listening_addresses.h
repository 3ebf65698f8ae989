// The addresses that a configuration listens on, each used once however it is spelled.
// Thread: main.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "proxy/config/table_reader.h"
#include "shared/os/socket_address.h"

namespace baton::proxy {

enum class Transport : std::uint8_t { Stream, Datagram };

class ListeningAddresses {
 public:
  // Reads the `address` of a section; it is required. Nothing: not one to listen on; recorded.
  // TCP and UDP have ports of their own each.
  std::optional<os::SocketAddress> take(TableReader& section, Transport transport);

 private:
  std::map<std::pair<Transport, std::string>, std::uint32_t> line_of_;
};

}  // namespace baton::proxy

// What of a request ring_hash and maglev go by, so that the same client comes to the same endpoint.
// Thread: any; immutable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proxy/http/codec/message_head.h"
#include "shared/os/socket_address.h"

namespace baton::proxy::http {

struct HashPolicy {
  enum class Source : std::uint8_t { Header, Cookie, ClientAddress };

  Source source = Source::ClientAddress;
  std::string name;  // of the header or cookie

  // The same in every worker, generation and version. Nothing: the request has no such header or
  // cookie (or the client no IP address), so any endpoint will do.
  std::optional<std::uint64_t> hash(const RequestHead& head, const os::SocketAddress& client) const;
};

}  // namespace baton::proxy::http

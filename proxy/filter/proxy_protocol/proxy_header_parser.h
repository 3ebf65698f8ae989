// Reads the header of the PROXY protocol, by which a proxy in front tells whose connection it
// carries: version 1, a line of text, and version 2, binary.
// Source: "The PROXY protocol, versions 1 & 2", haproxy.org, sections 2.1, 2.2 and 5.
//
// Strict where a second reading would be possible: single spaces, decimal ports without leading
// zeros, lengths that fit the family. Thread: any; a pure function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/os/socket_address.h"

namespace baton::proxy {

struct ProxyHeader {
  enum class Status : std::uint8_t {
    NeedMore,  // what there is may become a header
    Complete,
    Absent,  // does not begin as a header does
    Wrong,   // begins like one, and is none
  };

  Status status = Status::NeedMore;
  // Complete: how many bytes it has. Of version 2 the last of them, which are type-length-values
  // and nothing Baton needs, may not have come yet.
  std::size_t size = 0;
  // Complete: whether the header names a client. If not (LOCAL, UNKNOWN, an unspecified family),
  // the connection is what it looks like.
  bool names_client = false;
  os::SocketAddress client;
};

// `bytes`: all that has been received, from the first byte on.
ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace baton::proxy

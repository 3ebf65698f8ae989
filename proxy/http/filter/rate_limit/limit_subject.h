// Whom a rate limit counts a request for, as a key of region::RateBuckets. The same in every
// process and build, so that overlapping generations enforce one limit together. Thread: any; pure
// functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proxy/http/codec/message_head.h"
#include "shared/os/socket_address.h"

namespace baton::proxy::http {

struct LimitSubject {
  enum class Kind : std::uint8_t {
    Global,         // all requests are one
    ClientAddress,  // an IPv4 address; of IPv6 the /64, which is what one subscriber has
    Header,         // the value of `header`
  };
  Kind kind = Kind::Global;
  std::string header;
};

// `limit` tells one limit from others. Nothing: the limit does not apply, because the request has
// no such header line. Clients on unix sockets are one.
std::optional<std::uint64_t> subject_key(std::uint64_t limit, const LimitSubject& subject,
                                         const os::SocketAddress& client, const HeaderMap& headers);

}  // namespace baton::proxy::http

// The SRV records of a DNS answer.
// Thread: any; pure. Source: RFC 1035, section 4; RFC 2782.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

namespace baton::proxy {

struct SrvRecord {
  std::string host;
  std::uint16_t priority = 0;  // the lowest number is the best
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::uint32_t ttl_seconds = 0;
};

// Without "." (the service is decidedly not there). The error says what is wrong with the message.
std::expected<std::vector<SrvRecord>, std::string> parse_srv_reply(
    std::span<const unsigned char> message);

}  // namespace baton::proxy

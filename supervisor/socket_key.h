// What identifies a set of listening sockets: address, type and class of options. TCP and UDP of
// one port are different keys, and so are v4 and v6.
// Thread: none; a plain value.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "proto/socket_key.h"
#include "proto/types.pb.h"
#include "shared/os/socket_address.h"

namespace baton::supervisor {

struct SocketKey {
  std::string address;  // canonical text, "127.0.0.1:80"
  int type = 0;         // proto::SocketKey::Type
  std::string options;

  friend auto operator<=>(const SocketKey&, const SocketKey&) = default;

  // The path of a unix address that has one in the file system; else empty.
  std::string unix_path() const {
    const auto parsed = os::SocketAddress::parse(address);
    return parsed ? parsed->unix_path() : std::string();
  }

  // proto::wildcard_of().
  std::optional<SocketKey> wildcard() const {
    proto::SocketKey message;
    to_message(message);
    const auto wildcard = proto::wildcard_of(message);
    return wildcard ? std::optional(from_message(*wildcard)) : std::nullopt;
  }

  static SocketKey from_message(const proto::SocketKey& message) {
    return {message.address(), message.type(), message.options()};
  }
  void to_message(proto::SocketKey& message) const {
    message.set_address(address);
    message.set_type(static_cast<proto::SocketKey::Type>(type));
    message.set_options(options);
  }
};

}  // namespace baton::supervisor

// Hashes by which ring_hash and maglev place clients: the same in every process and build, so that
// a client keeps its endpoint across reloads. FNV-1a, then mixed, so that all bits count.
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "shared/os/socket_address.h"

namespace baton::proxy {

constexpr std::uint64_t mix_hash(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

constexpr std::uint64_t hash_of_text(std::string_view text, std::uint64_t seed = 0) {
  std::uint64_t hash = 0xcbf29ce484222325 ^ seed;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return mix_hash(hash);
}

// Of a client's IP address, without its port; all clients on unix sockets are one.
std::uint64_t hash_of_client(const os::SocketAddress& client);

}  // namespace baton::proxy

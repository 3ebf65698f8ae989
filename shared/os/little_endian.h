// Numbers as bytes, the lowest first, for what travels between processes or outlives one.
// Thread: any; pure.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace baton::os {

template <std::unsigned_integral Number>
void append_little_endian(std::string& bytes, Number value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * i))));
  }
}

// offset + sizeof(Number) <= bytes.size().
template <std::unsigned_integral Number>
Number little_endian_at(std::string_view bytes, std::size_t offset) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    const auto byte = static_cast<Number>(static_cast<unsigned char>(bytes[offset + i]));
    value = static_cast<Number>(value | static_cast<Number>(byte << (8 * i)));
  }
  return value;
}

}  // namespace baton::os

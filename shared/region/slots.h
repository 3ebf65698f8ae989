// What the tables of the region have in common.
// Thread: any.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace baton::region {

inline constexpr auto kRelaxed = std::memory_order_relaxed;
// Of a lock whose owner neither dies nor lets go.
inline constexpr std::chrono::seconds kLockTimeout{1};

// Of an entry's users: the generation in this slot.
constexpr std::uint64_t user_bit(std::uint32_t slot) { return std::uint64_t{1} << slot; }

// The text, as far as it fits, and zeros.
template <std::size_t N>
void store_text(char (&target)[N], std::string_view text) {
  std::memset(target, 0, N);
  std::memcpy(target, text.data(), std::min(text.size(), N - 1));
}

// It fits with its end, and has none within.
inline bool fits(std::string_view text, std::size_t bytes) {
  return text.size() < bytes && text.find('\0') == text.npos;
}

// FNV-1a; a filter ahead of the comparison of texts, never the only one.
inline std::uint32_t hash_of_pair(std::string_view first, char between, std::string_view second) {
  std::uint32_t hash = 2166136261U;
  const auto mix = [&hash](char c) { hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U; };
  for (const char c : first) mix(c);
  mix(between);
  for (const char c : second) mix(c);
  return hash;
}

}  // namespace baton::region

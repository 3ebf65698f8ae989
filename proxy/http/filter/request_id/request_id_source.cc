#include "proxy/http/filter/request_id/request_id_source.h"

#include <algorithm>
#include <cstdint>

#include "proxy/http/codec/characters.h"
#include "shared/os/random_seed.h"

namespace baton::proxy::http {
namespace {

constexpr std::size_t kLongestKept = 128;

// As much as there is to seed: two workers that ever make the same ids would go on doing so.
std::mt19937_64 seeded() {
  std::array<std::uint32_t, 16> words{};
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(os::random_seed());
  std::seed_seq seed(words.begin(), words.end());
  return std::mt19937_64(seed);
}

}  // namespace

RequestIdSource::RequestIdSource() : random_(seeded()) {}

RequestIdSource::Text RequestIdSource::next() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::uint64_t version = 0x4000;
  const std::uint64_t variant = std::uint64_t{1} << 63;
  const std::uint64_t halves[] = {(random_() & ~std::uint64_t{0xf000}) | version,
                                  (random_() & ~(std::uint64_t{3} << 62)) | variant};
  Text text;
  std::size_t digit = 0;
  for (std::size_t i = 0; i < kLength; ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      text[i] = '-';
      continue;
    }
    text[i] = kDigits[halves[digit / 16] >> (60 - digit % 16 * 4) & 0xf];
    ++digit;
  }
  return text;
}

bool RequestIdSource::acceptable(std::string_view id) {
  if (id.empty() || id.size() > kLongestKept) return false;
  return std::ranges::all_of(id, [](char c) {
    return is_alphanumeric(c) || std::string_view("-._~+/=:").find(c) != std::string_view::npos;
  });
}

}  // namespace baton::proxy::http

#include "proxy/http/codec/header_id.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace baton::proxy::http {
namespace {

constexpr std::size_t kNames = static_cast<std::size_t>(HeaderId::kCount);

// In the order of HeaderId.
constexpr std::array<std::string_view, kNames> kNameOf = {
    "",
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "last-modified",
    "location",
    "max-forwards",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "retry-after",
    "server",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
};
static_assert(kNameOf[static_cast<std::size_t>(HeaderId::XRequestId)] == "x-request-id");
static_assert(kNameOf[static_cast<std::size_t>(HeaderId::Host)] == "host");

constexpr std::size_t kLongestName =
    std::ranges::max(kNameOf, {}, [](std::string_view name) { return name.size(); }).size();

constexpr std::size_t kSlots = 256;

// Mixes the length with the first and the last two characters, in any case: bit 0x20 is what tells
// an upper-case letter from a lower-case one.
constexpr std::size_t slot_of(std::string_view name, unsigned seed) {
  const auto at = [&](std::size_t index) { return static_cast<unsigned>(name[index]) & 0x1fU; };
  const std::size_t last = name.size() - 1;
  const unsigned mixed =
      static_cast<unsigned>(name.size()) | at(0) << 8 | at(last - 1) << 16 | at(last) << 24;
  return (mixed * seed) >> 24;
}

struct PerfectHash {
  unsigned seed = 0;
  std::array<HeaderId, kSlots> slots{};
};

// Tries multipliers until no two names share a slot.
consteval PerfectHash find_hash() {
  for (unsigned seed = 0x9e3779b1U;; seed += 0x01000042U) {
    PerfectHash hash{.seed = seed};
    bool unique = true;
    for (std::size_t id = 1; id < kNames && unique; ++id) {
      HeaderId& slot = hash.slots[slot_of(kNameOf[id], seed)];
      unique = slot == HeaderId::Other;
      slot = static_cast<HeaderId>(id);
    }
    if (unique) return hash;
  }
}
constexpr PerfectHash kHash = find_hash();

// Without control characters, or-ing 0x20 maps letters to lower case and nothing else onto a
// letter, a digit or '-', which is all that the known names consist of.
template <class Word>
bool same_word(const char* name, const char* lower) {
  constexpr auto kLowerBits = static_cast<Word>(0x2020202020202020U);
  Word left;
  Word right;
  std::memcpy(&left, name, sizeof left);
  std::memcpy(&right, lower, sizeof right);
  return (left | kLowerBits) == right;
}

// By words that may overlap, so that no name needs a loop over its bytes.
template <class Word>
bool same_by(const char* name, std::string_view lower) {
  const std::size_t last = lower.size() - sizeof(Word);
  for (std::size_t at = 0; at < last; at += sizeof(Word)) {
    if (!same_word<Word>(name + at, lower.data() + at)) return false;
  }
  return same_word<Word>(name + last, lower.data() + last);
}

// Both have the same length, which is two at least.
bool same_name(const char* name, std::string_view lower) {
  if (lower.size() >= sizeof(std::uint64_t)) return same_by<std::uint64_t>(name, lower);
  if (lower.size() >= sizeof(std::uint32_t)) return same_by<std::uint32_t>(name, lower);
  return same_by<std::uint16_t>(name, lower);
}

}  // namespace

HeaderId find_header_id(std::string_view name) {
  if (name.size() < 2) return HeaderId::Other;
  const HeaderId id = kHash.slots[slot_of(name, kHash.seed)];
  const std::string_view known = kNameOf[static_cast<std::size_t>(id)];
  if (known.size() != name.size() || !same_name(name.data(), known)) return HeaderId::Other;
  return id;
}

HeaderId find_lookalike_id(std::string_view name) {
  if (name.size() > kLongestName || name.find('_') == name.npos) return HeaderId::Other;
  std::array<char, kLongestName> hyphenated;
  std::ranges::replace_copy(name, hyphenated.begin(), '_', '-');
  return find_header_id({hyphenated.data(), name.size()});
}

std::string_view header_name(HeaderId id) { return kNameOf[static_cast<std::size_t>(id)]; }

}  // namespace baton::proxy::http

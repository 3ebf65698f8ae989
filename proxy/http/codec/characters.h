// The character classes of HTTP (RFC 9110 section 5.6, RFC 3986), and how to get past them quickly.
// Thread: none; pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace baton::proxy::http {

inline constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
inline constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}
inline constexpr bool is_alphanumeric(char c) {
  return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z');
}

inline constexpr auto kTokenCharacters = [] {
  std::array<bool, 256> table{};
  for (int c = 0; c < 256; ++c) {
    table[static_cast<std::size_t>(c)] =
        c < 128 &&
        (is_alphanumeric(static_cast<char>(c)) ||
         std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos);
  }
  return table;
}();
inline bool is_token_character(char c) { return kTokenCharacters[static_cast<unsigned char>(c)]; }

inline bool is_token(std::string_view text) {
  for (const char c : text) {
    if (!is_token_character(c)) return false;
  }
  return !text.empty();
}

inline bool equal_ignoring_case(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (to_lower(left[i]) != to_lower(right[i])) return false;
  }
  return true;
}

inline std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// May stand in a field value: HTAB, SP, visible ASCII, and bytes beyond ASCII (obs-text).
inline constexpr bool is_value_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || c == '\t';
}
// May stand in a request target: visible ASCII, but no fragment. RFC 3986 allows fewer; browsers
// send some of the others.
inline constexpr bool is_target_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '#';
}

// The first byte of [begin, end) that may not stand in a value, else end.
inline const char* skip_value(const char* begin, const char* end) {
#if defined(__SSE2__)
  const __m128i highest_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; end - begin >= 16; begin += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, highest_control), bytes);
    const __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                                     _mm_cmpeq_epi8(bytes, del));
    const int mask = _mm_movemask_epi8(bad);
    if (mask != 0) return begin + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (begin != end && is_value_character(*begin)) ++begin;
  return begin;
}

// The first byte of [begin, end) that may not stand in a request target, else end.
inline const char* skip_target(const char* begin, const char* end) {
#if defined(__SSE2__)
  const __m128i space = _mm_set1_epi8(' ');
  const __m128i del = _mm_set1_epi8(0x7f);
  const __m128i hash = _mm_set1_epi8('#');
  for (; end - begin >= 16; begin += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin));
    // Signed: bytes beyond ASCII are below zero, so they are not greater than a space either.
    const __m128i good = _mm_cmpgt_epi8(bytes, space);
    const __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(bytes, del), _mm_cmpeq_epi8(bytes, hash));
    const int mask = _mm_movemask_epi8(_mm_andnot_si128(bad, good)) ^ 0xffff;
    if (mask != 0) return begin + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (begin != end && is_target_character(*begin)) ++begin;
  return begin;
}

inline bool is_value(std::string_view text) {
  return skip_value(text.data(), text.data() + text.size()) == text.data() + text.size();
}

}  // namespace baton::proxy::http

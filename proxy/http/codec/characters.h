// The character classes of HTTP (RFC 9110 section 5.6, RFC 3986), and how to get past them quickly.
// Thread: none; pure functions.
#pragma once

#include <algorithm>
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
  if (left == right) return true;
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
inline constexpr auto kValueCharacters = [] {
  std::array<bool, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    table[byte] = (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  }
  return table;
}();
inline constexpr bool is_value_character(char c) {
  return kValueCharacters[static_cast<unsigned char>(c)];
}
// May stand in a request target: visible ASCII, but no fragment. RFC 3986 allows fewer; browsers
// send some of the others.
inline constexpr bool is_target_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '#';
}

#if defined(__SSE2__)
// The first byte of [begin, end) whose bit is set in what `mask` makes of sixteen of them, else of
// which `is_it` is true, else end.
template <class Mask, class IsIt>
inline const char* find_byte(const char* begin, const char* end, Mask mask, IsIt is_it) {
  const char* at = begin;
  const auto found = [&] {
    return static_cast<unsigned>(mask(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
  };
  for (; end - at >= 16; at += 16) {
    if (const unsigned bits = found(); bits != 0) return at + __builtin_ctz(bits);
  }
  if (at != begin) {
    // The last sixteen, of which some have been looked at.
    at = end - 16;
    const unsigned bits = found();
    return bits != 0 ? at + __builtin_ctz(bits) : end;
  }
  while (at != end && !is_it(*at)) ++at;
  return at;
}
#endif

// The first byte of [begin, end) that may not stand in a value, else end.
inline const char* skip_value(const char* begin, const char* end) {
  const auto is_bad = [](char c) { return !is_value_character(c); };
#if defined(__SSE2__)
  const auto bad = [](__m128i bytes) {
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del));
  };
  return find_byte(begin, end, bad, is_bad);
#else
  return std::find_if(begin, end, is_bad);
#endif
}

// The first colon of [begin, end), else end.
inline const char* find_colon(const char* begin, const char* end) {
#if defined(__SSE2__)
  const auto colon = [](__m128i bytes) {
    return _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(':')));
  };
  return find_byte(begin, end, colon, [](char c) { return c == ':'; });
#else
  return std::find(begin, end, ':');
#endif
}

// The first byte of [begin, end) that may not stand in a request target, else end.
inline const char* skip_target(const char* begin, const char* end) {
  const auto is_bad = [](char c) { return !is_target_character(c); };
#if defined(__SSE2__)
  const auto bad = [](__m128i bytes) {
    // Signed: bytes beyond ASCII are below zero, so they are not greater than a space either.
    const __m128i visible = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(' '));
    const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    const __m128i hash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#'));
    return _mm_movemask_epi8(_mm_andnot_si128(_mm_or_si128(del, hash), visible)) ^ 0xffff;
  };
  return find_byte(begin, end, bad, is_bad);
#else
  return std::find_if(begin, end, is_bad);
#endif
}

inline bool is_value(std::string_view text) {
  return skip_value(text.data(), text.data() + text.size()) == text.data() + text.size();
}

}  // namespace baton::proxy::http

#include "proxy/http/filter/compression/compressible.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "proxy/http/codec/characters.h"
#include "proxy/http/filter/compression/list_contains.h"

namespace baton::proxy::http {
namespace {

bool tells_digest(const HeaderMap& headers) {
  for (const std::string_view name : {"content-digest", "content-md5", "digest", "repr-digest"}) {
    if (headers.find(name) != nullptr) return true;
  }
  return false;
}

// Of the whole body, or of that which GET would have had.
std::optional<std::uint64_t> whole_length(const ResponseHead& head) {
  if (head.status == 206) return std::nullopt;
  if (head.framing == BodyFraming::Length) return head.content_length;
  const std::string_view text = head.headers.get(HeaderId::ContentLength);
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  return error == std::errc() ? std::optional(length) : std::nullopt;
}

}  // namespace

bool CompressionRules::has_type(std::string_view content_type) const {
  const std::string_view type = trim_blanks(content_type.substr(0, content_type.find(';')));
  return std::ranges::any_of(content_types, [type](std::string_view wanted) {
    if (!wanted.ends_with("/*")) return equal_ignoring_case(type, wanted);
    wanted.remove_suffix(1);
    return type.size() > wanted.size() &&
           equal_ignoring_case(type.substr(0, wanted.size()), wanted);
  });
}

bool CompressionRules::apply_to(const ResponseHead& head) const {
  const HeaderMap& headers = head.headers;
  if (head.status < 200 || head.status == 204 || head.framing == BodyFraming::Tunnel) return false;
  const auto length = whole_length(head);
  if (length && *length < std::max<std::uint64_t>(min_length, 1)) return false;
  const bool tells_type = head.status != 304 || headers.has(HeaderId::ContentType);
  if (tells_type && !has_type(headers.get(HeaderId::ContentType))) return false;
  if (headers.has(HeaderId::ContentEncoding)) return false;
  if (headers.has(HeaderId::ContentRange) && head.status != 206) return false;
  return !list_contains(headers, HeaderId::CacheControl, "no-transform") && !tells_digest(headers);
}

}  // namespace baton::proxy::http

#include "proxy/http/filter/compression/compressible.h"

#include <algorithm>

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
  if (head.status < 200 || head.status == 204 || head.status == 206 || head.status == 304) {
    return false;
  }
  if (head.framing == BodyFraming::Tunnel) return false;
  if (head.framing == BodyFraming::Length && head.content_length < min_length) return false;
  if (!has_type(headers.get(HeaderId::ContentType))) return false;
  if (headers.has(HeaderId::ContentEncoding) || headers.has(HeaderId::ContentRange)) return false;
  return !list_contains(headers, HeaderId::CacheControl, "no-transform") && !tells_digest(headers);
}

}  // namespace baton::proxy::http

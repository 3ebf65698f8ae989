#include "proxy/http/codec/framing_headers.h"

#include <limits>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

// 1*DIGIT, and small enough for a signed 64-bit size. Lists, even of equal values, are none.
bool read_content_length(std::string_view text, std::uint64_t& length) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  length = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (length > (kMost - digit) / 10) return false;
    length = length * 10 + digit;
  }
  return !text.empty();
}

// Anything but one "chunked" is refused: 501 when it is a well-formed list that ends in a coding we
// do not know or in "chunked" after one, 400 for the rest.
const Rejection* bad_transfer_encoding(std::string_view list) {
  bool has_chunked = false;
  bool has_unknown = false;
  for (;;) {
    const std::size_t comma = list.find(',');
    const std::string_view coding = trim_blanks(list.substr(0, comma));
    if (!is_token(coding) || has_chunked) return &kBadTransferEncoding;
    if (equal_ignoring_case(coding, "chunked")) {
      has_chunked = true;
    } else {
      has_unknown = true;
    }
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return has_unknown ? &kUnknownTransferCoding : &kBadTransferEncoding;
}

const Rejection* check_transfer_encoding(const MessageHead& head) {
  if (head.headers.repeated(HeaderId::TransferEncoding)) return &kBadTransferEncoding;
  const std::string_view value = head.headers.get(HeaderId::TransferEncoding);
  if (!equal_ignoring_case(value, "chunked")) return bad_transfer_encoding(value);
  if (head.version == Version::Http10) return &kEncodingInOldVersion;
  return nullptr;
}

}  // namespace

const Rejection* read_framing_headers(MessageHead& head) {
  const bool has_length = head.headers.has(HeaderId::ContentLength);
  const bool has_encoding = head.headers.has(HeaderId::TransferEncoding);
  head.framing = BodyFraming::None;
  if (has_length && has_encoding) return &kLengthAndEncoding;
  if (has_encoding) {
    head.framing = BodyFraming::Chunked;
    return check_transfer_encoding(head);
  }
  if (has_length) {
    head.framing = BodyFraming::Length;
    if (head.headers.repeated(HeaderId::ContentLength)) return &kRepeatedContentLength;
    const std::string_view value = head.headers.get(HeaderId::ContentLength);
    if (!read_content_length(value, head.content_length)) return &kBadContentLength;
  }
  return nullptr;
}

}  // namespace baton::proxy::http

#include "proxy/http/codec/trailer_section.h"

#include "proxy/http/codec/field_line.h"

namespace baton::proxy::http {
namespace {

// Somebody might merge them into the head.
constexpr HeaderSet kRefused{HeaderId::Connection,  HeaderId::ContentLength,    HeaderId::Expect,
                             HeaderId::Host,        HeaderId::Http2Settings,    HeaderId::KeepAlive,
                             HeaderId::MaxForwards, HeaderId::ProxyConnection,  HeaderId::Te,
                             HeaderId::Trailer,     HeaderId::TransferEncoding, HeaderId::Upgrade};
constexpr HeaderSet kKept{HeaderId::Other, HeaderId::ETag};

}  // namespace

const Rejection* TrailerSection::check_line(std::string_view line) {
  HeaderField field;
  const LineEnd read = read_field_line(line.data(), line.data() + line.size(), field);
  if (read.rejection != nullptr) return read.rejection;
  if (++line_count_ > limits_.header_count) return &kTooManyHeaders;
  return kRefused.has(field.id()) ? &kForbiddenTrailer : nullptr;
}

// Every line has been checked, and the bytes stay where they are now.
void TrailerSection::collect() {
  const char* at = bytes_.data();
  const char* const end = at + line_;
  while (at != end) {
    HeaderField field;
    at = read_field_line(at, end, field).next;
    if (!kKept.has(field.id())) continue;
    if (find_lookalike_id(field.name()) == HeaderId::Other) fields_.append(field);
  }
}

TrailerSection::Result TrailerSection::read(std::string_view input) {
  std::size_t consumed = 0;
  while (consumed < input.size()) {
    const std::size_t lf = input.find('\n', consumed);
    const std::size_t end = lf == std::string_view::npos ? input.size() : lf + 1;
    if (end - consumed > limits_.header_bytes - bytes_.size()) {
      return {.rejection = &kHeadersTooLarge};
    }
    bytes_.append(input.substr(consumed, end - consumed));
    consumed = end;
    if (lf == std::string_view::npos) break;
    const std::string_view line = std::string_view(bytes_).substr(line_);
    if (line == "\r\n") {
      collect();
      return {.complete = true, .consumed = consumed};
    }
    if (const Rejection* const why = check_line(line)) return {.rejection = why};
    line_ = bytes_.size();
  }
  return {.consumed = consumed};
}

}  // namespace baton::proxy::http

#include "proxy/http/codec/field_line.h"

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

// The name ended at a byte that is neither a token character nor a colon.
LineEnd bad_name(const char* begin, const char* at, const char* end) {
  if (*at == '\r' || *at == '\n') {
    const LineEnd line = end_of_line(at, end);
    return line.next != nullptr ? LineEnd::reject(kBadHeaderName) : line;
  }
  if (is_blank(*at)) return LineEnd::reject(at == begin ? kFoldedLine : kSpaceBeforeColon);
  return LineEnd::reject(is_value_character(*at) ? kBadHeaderName : kControlCharacter);
}

// Many frameworks take '_' for '-', and some have believed a Transfer_Encoding.
bool poses_as_framing(std::string_view name) {
  constexpr std::string_view kPretended[] = {"content_length", "transfer_encoding"};
  return equal_ignoring_case(name, kPretended[0]) || equal_ignoring_case(name, kPretended[1]);
}

}  // namespace

LineEnd read_field_line(const char* begin, const char* end, HeaderField& field) {
  const char* at = begin;
  while (at != end && is_token_character(*at)) ++at;
  if (at == end) return LineEnd::need_more();
  if (*at != ':') return bad_name(begin, at, end);
  const std::string_view name(begin, at);
  if (name.empty()) return LineEnd::reject(kBadHeaderName);
  if (name.size() > HeaderField::kMaxNameBytes) return LineEnd::reject(kHeadersTooLarge);

  ++at;
  while (at != end && is_blank(*at)) ++at;
  const char* const value = at;
  at = skip_value(at, end);
  const LineEnd line = end_of_line(at, end);
  if (line.next == nullptr) return line;
  while (at != value && is_blank(at[-1])) --at;

  const HeaderId id = find_header_id(name);
  if (id == HeaderId::Other && poses_as_framing(name)) return LineEnd::reject(kBadHeaderName);
  const bool is_verbatim =
      value == name.data() + name.size() + 2 && value[-1] == ' ' && line.next == at + 2;
  field = HeaderField(id, name, {value, at},
                      is_verbatim ? HeaderField::Line::Verbatim : HeaderField::Line::Assembled);
  return line;
}

}  // namespace baton::proxy::http

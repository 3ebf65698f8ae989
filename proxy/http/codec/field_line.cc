#include "proxy/http/codec/field_line.h"

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

// Many frameworks take '_' for '-', and some have believed a Transfer_Encoding.
bool poses_as_framing(std::string_view name) {
  constexpr std::string_view kPretended[] = {"content_length", "transfer_encoding"};
  return equal_ignoring_case(name, kPretended[0]) || equal_ignoring_case(name, kPretended[1]);
}

// Of a name that is not a known one: those are well-formed.
bool is_good_name(std::string_view name) {
  return is_token(name) && name.size() <= HeaderField::kMaxNameBytes && !poses_as_framing(name);
}

// [begin, end) is a whole line without its CRLF, and has no control character. False: its name is
// not one.
bool read_whole_line(const char* begin, const char* end, HeaderField& field) {
  const char* const colon = find_colon(begin, end);
  if (colon == end) return false;
  const std::string_view name(begin, colon);
  const HeaderId id = find_header_id(name);
  if (id == HeaderId::Other && !is_good_name(name)) return false;
  const char* value = colon + 1;
  while (value != end && is_blank(*value)) ++value;
  const char* value_end = end;
  while (value_end != value && is_blank(value_end[-1])) --value_end;
  const bool is_verbatim = value == colon + 2 && value[-1] == ' ' && value_end == end;
  field = HeaderField(id, name, {value, value_end},
                      is_verbatim ? HeaderField::Line::Verbatim : HeaderField::Line::Assembled);
  return true;
}

// The name ended at a byte that is neither a token character nor a colon.
LineEnd bad_name(const char* begin, const char* at, const char* end) {
  if (*at == '\r' || *at == '\n') {
    const LineEnd line = end_of_line(at, end);
    return line.next != nullptr ? LineEnd::reject(kBadHeaderName) : line;
  }
  if (is_blank(*at)) return LineEnd::reject(at == begin ? kFoldedLine : kSpaceBeforeColon);
  return LineEnd::reject(is_value_character(*at) ? kBadHeaderName : kControlCharacter);
}

// [begin, end) does not begin with a whole good line: the first mistake in it, if it has one yet.
// `stop` is the first byte that may not stand in a value.
LineEnd find_mistake(const char* begin, const char* stop, const char* end) {
  const char* at = begin;
  while (at != end && is_token_character(*at)) ++at;
  if (at == end) return LineEnd::need_more();
  if (*at != ':') return bad_name(begin, at, end);
  if (at == begin) return LineEnd::reject(kBadHeaderName);
  if (static_cast<std::size_t>(at - begin) > HeaderField::kMaxNameBytes) {
    return LineEnd::reject(kHeadersTooLarge);
  }
  const LineEnd line = end_of_line(stop, end);
  return line.next != nullptr ? LineEnd::reject(kBadHeaderName) : line;
}

}  // namespace

LineEnd read_field_line(const char* begin, const char* end, HeaderField& field) {
  const char* const stop = skip_value(begin, end);
  const LineEnd line = end_of_line(stop, end);
  if (line.next != nullptr && read_whole_line(begin, stop, field)) return line;
  return find_mistake(begin, stop, end);
}

}  // namespace baton::proxy::http

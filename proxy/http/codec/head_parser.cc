#include "proxy/http/codec/head_parser.h"

#include <algorithm>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {

// Whether reading the unfinished line again can tell more than last time.
bool HeadParser::has_news(std::string_view bytes, std::size_t start) const {
  const std::size_t limit = fields_begin_ == 0 ? start + limits_.start_line_bytes
                                               : fields_begin_ + std::size_t{limits_.header_bytes};
  if (bytes.size() >= limit) return true;
  const char* const end = bytes.data() + bytes.size();
  return skip_value(bytes.data() + scanned_, end) != end;
}

Verdict HeadParser::wait(std::string_view bytes, std::size_t line) {
  resume_ = static_cast<std::uint32_t>(line);
  // A CR at the end is looked at again, together with what follows it.
  const std::size_t ended = bytes.ends_with('\r') ? bytes.size() - 1 : bytes.size();
  scanned_ = static_cast<std::uint32_t>(ended);
  return {};
}

Verdict HeadParser::read_lines(std::string_view bytes, std::size_t start, MessageHead& head,
                               ReadStartLine read_start_line) {
  if (fields_begin_ != 0) return read_fields(bytes, resume_, head);
  const char* const base = bytes.data();
  // Nothing beyond a limit is looked at, so that the verdict does not depend on how much is there.
  const std::size_t limit = start + limits_.start_line_bytes;
  const LineEnd read = read_start_line(base + start, base + std::min(bytes.size(), limit), head);
  if (read.rejection != nullptr) return rejected(*read.rejection);
  if (read.next == nullptr) {
    return bytes.size() >= limit ? rejected(kStartLineTooLong) : wait(bytes, start);
  }
  fields_begin_ = static_cast<std::uint32_t>(read.next - base);
  return read_fields(bytes, fields_begin_, head);
}

Verdict HeadParser::read_fields(std::string_view bytes, std::size_t line, MessageHead& head) {
  const char* const base = bytes.data();
  const std::size_t limit = fields_begin_ + std::size_t{limits_.header_bytes};
  const char* const end = base + std::min(bytes.size(), limit);
  const char* at = base + line;
  for (;;) {
    HeaderField field;
    const bool is_empty_line = at != end && *at == '\r';
    const LineEnd read =
        is_empty_line || at == end ? end_of_line(at, end) : read_field_line(at, end, field);
    if (read.rejection != nullptr) return rejected(*read.rejection);
    if (read.next == nullptr) {
      if (bytes.size() >= limit) return rejected(kHeadersTooLarge);
      return wait(bytes, static_cast<std::size_t>(at - base));
    }
    at = read.next;
    if (is_empty_line) break;
    if (++field_count_ > limits_.header_count) return rejected(kTooManyHeaders);
    head.headers.append(field);
  }
  return {.progress = Progress::Complete, .consumed = static_cast<std::uint32_t>(at - base)};
}

Verdict HeadParser::advance(std::string_view bytes, std::size_t start, MessageHead& head,
                            ReadStartLine read_start_line) {
  const bool is_first_piece = scanned_ == 0;
  if (!is_first_piece && !has_news(bytes, start)) {
    scanned_ = static_cast<std::uint32_t>(bytes.size());
    return {};
  }
  const bool is_from_start = fields_begin_ == 0;
  // The lines of earlier pieces are not in the head, and need not be: they are read once more.
  if (!is_from_start) head.headers.clear();
  Verdict verdict = read_lines(bytes, start, head, read_start_line);
  if (!verdict.complete()) return verdict;
  reset();
  if (is_from_start) return verdict;
  verdict = read_lines(bytes, start, head, read_start_line);
  reset();
  return verdict;
}

}  // namespace baton::proxy::http

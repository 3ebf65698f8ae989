#include "proxy/http/codec/line_writer.h"

namespace baton::proxy::http {

std::size_t fields_size(const HeaderMap& fields) {
  std::size_t size = 0;
  for (const HeaderField& field : fields) size += field.name().size() + field.value().size() + 4;
  return size;
}

void LineWriter::put_fields(const HeaderMap& fields, HeaderSet skipped) {
  // Neighbours that stand behind each other in the received bytes go in one copy.
  std::string_view run;
  for (const HeaderField& field : fields) {
    if (skipped.has(field.id())) continue;
    if (field.line() == HeaderField::Line::Assembled) {
      put(run);
      run = {};
      put_line(field.name(), field.value());
      continue;
    }
    const std::string_view line = field.verbatim();
    if (run.data() + run.size() == line.data()) {
      run = {run.data(), run.size() + line.size()};
    } else {
      put(run);
      run = line;
    }
  }
  put(run);
}

}  // namespace baton::proxy::http

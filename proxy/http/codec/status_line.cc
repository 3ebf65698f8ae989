#include "proxy/http/codec/status_line.h"

#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/version.h"

namespace baton::proxy::http {

LineEnd read_status_line(const char* begin, const char* end, ResponseHead& head) {
  const LineEnd version = read_version(begin, end, head.version);
  if (version.next == nullptr) return version;
  const char* at = version.next;
  if (at == end) return LineEnd::need_more();
  if (*at != ' ') return LineEnd::reject(kBadStartLine);
  ++at;

  unsigned status = 0;
  for (int digit = 0; digit < 3; ++digit, ++at) {
    if (at == end) return LineEnd::need_more();
    if (!is_digit(*at)) return LineEnd::reject(kBadStatus);
    status = status * 10 + static_cast<unsigned>(*at - '0');
  }
  if (status < 100) return LineEnd::reject(kBadStatus);
  head.status = static_cast<std::uint16_t>(status);

  if (at == end) return LineEnd::need_more();
  if (*at != ' ') return *at == '\r' ? end_of_line(at, end) : LineEnd::reject(kBadStatus);
  const char* const reason = ++at;
  at = skip_value(at, end);
  head.reason = {reason, at};
  return end_of_line(at, end);
}

}  // namespace baton::proxy::http

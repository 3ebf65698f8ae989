#include "proxy/http/access_log/tunnel_record.h"

#include <algorithm>
#include <string_view>

namespace baton::proxy::http {
namespace {

std::string to_lines(const HeaderMap& headers) {
  std::string lines;
  for (const HeaderField& field : headers) {
    const std::size_t bytes = field.name().size() + field.value().size() + 3;
    if (lines.size() + bytes > TunnelRecord::kMostLineBytes) continue;
    lines.append(field.name()).append(": ").append(field.value()).append("\n");
  }
  return lines;
}

// Of another process: what is no line is left out.
void from_lines(std::string_view lines, HeaderMap& headers) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    const std::size_t colon = line.find(':');
    if (colon != line.npos) headers.add_borrowed(line.substr(0, colon), line.substr(colon + 1));
  }
}

}  // namespace

TunnelRecord make_tunnel_record(const StreamInfo& stream, const RequestHead& request,
                                const ResponseHead& response) {
  return {.started = stream.started,
          .started_at = stream.started_at,
          .upstream_time = stream.upstream_time,
          .client = stream.client,
          .status = stream.status,
          .attempts = stream.attempts,
          .flags = stream.flags,
          .version = request.version,
          .route = std::string(stream.route),
          .method = std::string(request.method_name),
          .target = std::string(request.target),
          .path = std::string(request.path),
          .authority = std::string(request.authority),
          .request_lines = to_lines(request.headers),
          .response_lines = to_lines(response.headers)};
}

RecordedTunnel::RecordedTunnel(const TunnelRecord& record) {
  stream.started = record.started;
  stream.started_at = record.started_at;
  stream.upstream_time = record.upstream_time;
  stream.client = record.client;
  stream.status = record.status;
  stream.attempts = record.attempts;
  stream.flags = record.flags;
  stream.route = record.route;
  request.version = record.version;
  request.method_name = record.method;
  request.target = record.target;
  request.path = record.path;
  request.authority = record.authority;
  from_lines(record.request_lines, request.headers);
  from_lines(record.response_lines, response.headers);
}

}  // namespace baton::proxy::http

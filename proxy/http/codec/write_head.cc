#include "proxy/http/codec/write_head.h"

#include "proxy/http/codec/line_writer.h"

namespace baton::proxy::http {
namespace {

// For what is not counted exactly: version, status, framing and connection lines, separators.
constexpr std::size_t kFixedRoom = 192;

constexpr HeaderSet with(HeaderSet set, HeaderId id) {
  set.add(id);
  return set;
}

void put_framing(LineWriter& lines, const MessageHead& head) {
  if (head.framing == BodyFraming::Length) {
    lines.put("content-length: ");
    lines.put_number(head.content_length);
    lines.put("\r\n");
  } else if (head.framing == BodyFraming::Chunked) {
    lines.put("transfer-encoding: chunked\r\n");
  }
}

void put_connection(LineWriter& lines, const MessageHead& head, ConnectionLine connection) {
  switch (connection) {
    case ConnectionLine::None:
      return;
    case ConnectionLine::Close:
      return lines.put("connection: close\r\n");
    case ConnectionLine::KeepAlive:
      return lines.put("connection: keep-alive\r\n");
    case ConnectionLine::Upgrade:
      lines.put("connection: upgrade\r\n");
      return lines.put_line("upgrade", head.upgrade);
  }
}

// What a server asks its client to change to (RFC 9110 section 15.5.22).
bool requires_upgrade(const ResponseHead& head, ConnectionLine connection) {
  return head.status == 426 && !head.upgrade.empty() && connection != ConnectionLine::Upgrade;
}

bool tells_length_of_another(const ResponseHead& head) {
  return head.framing == BodyFraming::None && head.status >= 200 && head.status != 204;
}

}  // namespace

void write_request_head(Buffer& out, const RequestHead& head, ConnectionLine connection) {
  constexpr HeaderSet kMade = with(with(kHopByHop, HeaderId::ContentLength), HeaderId::Host);
  const bool is_connect = head.method == Method::Connect;
  LineWriter lines(out, head.method_name.size() + head.path.size() + 2 * head.authority.size() +
                            head.upgrade.size() + fields_size(head.headers) + kFixedRoom);
  lines.put(head.method_name);
  lines.put(" ");
  lines.put(is_connect ? head.authority : head.path);
  lines.put(" HTTP/1.1\r\n");
  lines.put_line("Host", head.authority);
  lines.put_fields(head.headers, kMade);
  put_framing(lines, head);
  put_connection(lines, head, connection);
  lines.put("\r\n");
}

void write_response_head(Buffer& out, const ResponseHead& head, ConnectionLine connection) {
  LineWriter lines(
      out, head.reason.size() + head.upgrade.size() + fields_size(head.headers) + kFixedRoom);
  lines.put("HTTP/1.1 ");
  lines.put_number(head.status);
  lines.put(" ");
  lines.put(head.reason);
  lines.put("\r\n");
  lines.put_fields(head.headers, tells_length_of_another(head)
                                     ? kHopByHop
                                     : with(kHopByHop, HeaderId::ContentLength));
  put_framing(lines, head);
  put_connection(lines, head, connection);
  if (requires_upgrade(head, connection)) put_connection(lines, head, ConnectionLine::Upgrade);
  lines.put("\r\n");
}

}  // namespace baton::proxy::http

#include "proxy/http/forwarded.h"

#include <algorithm>
#include <string>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

// "192.0.2.1", "192.0.2.1:8080", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:8080": all of them
// are in use. Without a family: it is no address.
os::SocketAddress parse_client(std::string_view text) {
  std::string full(text);
  const auto colons = std::ranges::count(text, ':');
  if (text.starts_with('[')) {
    if (text.ends_with(']')) full += ":0";
  } else if (colons == 0) {
    full += ":0";
  } else if (colons > 1) {
    full = "[" + full + "]:0";
  }
  if (text.starts_with("unix:")) return {};
  return os::SocketAddress::parse(full).value_or(os::SocketAddress());
}

// The element at that place from the end of the list, over all lines; 1 is the last. Empty: the
// list is shorter.
std::string_view from_end(const HeaderMap& headers, std::uint32_t place) {
  for (auto field = headers.end(); field != headers.begin();) {
    --field;
    if (field->id() != HeaderId::XForwardedFor) continue;
    std::string_view list = field->value();
    for (bool more = true; more;) {
      const std::size_t comma = list.rfind(',');
      more = comma != list.npos;
      const std::string_view element = trim_blanks(more ? list.substr(comma + 1) : list);
      if (--place == 0) return element;
      if (more) list = list.substr(0, comma);
    }
  }
  return {};
}

// What is said about the client.
constexpr std::initializer_list<HeaderId> kClaims = {
    HeaderId::XForwardedFor,   HeaderId::XForwardedHost, HeaderId::XForwardedPort,
    HeaderId::XForwardedProto, HeaderId::XRealIp,        HeaderId::Forwarded};

void append_peer(HeaderMap& headers, const os::SocketAddress& peer) {
  const std::string address = peer.ip_text();
  if (address.empty()) return;
  if (!headers.has(HeaderId::XForwardedFor)) {
    headers.add(HeaderId::XForwardedFor, address);
    return;
  }
  std::string list;
  for (const HeaderField& field : headers) {
    if (field.id() != HeaderId::XForwardedFor || field.value().empty()) continue;
    list.append(field.value()).append(", ");
  }
  headers.set(HeaderId::XForwardedFor, list + address);
}

}  // namespace

os::SocketAddress client_address(const RequestHead& head, const os::SocketAddress& peer,
                                 const ForwardedConfig& config) {
  if (config.trusted_hops == 0) return peer;
  const std::string_view element = from_end(head.headers, config.trusted_hops);
  if (element.empty()) return peer;
  const os::SocketAddress client = parse_client(element);
  return client.ip_text().empty() ? peer : client;
}

void update_forwarded(RequestHead& head, const os::SocketAddress& peer, std::string_view scheme,
                      const ForwardedConfig& config) {
  HeaderMap& headers = head.headers;
  // A trusted proxy does not write these, and knows of them no more than others do.
  headers.remove_lookalikes(kClaims);
  if (config.trusted_hops == 0) {
    for (const HeaderId claim : kClaims) headers.remove(claim);
  }
  append_peer(headers, peer);
  if (!headers.has(HeaderId::XForwardedProto)) headers.add(HeaderId::XForwardedProto, scheme);
  if (!headers.has(HeaderId::XForwardedHost) && !head.authority.empty()) {
    headers.add(HeaderId::XForwardedHost, head.authority);
  }
}

}  // namespace baton::proxy::http

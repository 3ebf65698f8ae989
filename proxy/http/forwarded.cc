#include "proxy/http/forwarded.h"

#include <algorithm>
#include <string>

#include "proxy/http/codec/authority.h"
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

struct Element {
  std::string_view text;
  bool at_its_place = false;
};

// The element at that place from the end of the list, over all lines; 1 is the last. The list is
// shorter: its first.
Element from_end(const HeaderMap& headers, HeaderId id, std::uint32_t place) {
  Element element;
  for (auto field = headers.end(); field != headers.begin();) {
    --field;
    if (field->id() != id) continue;
    std::string_view list = field->value();
    for (bool more = true; more;) {
      const std::size_t comma = list.rfind(',');
      more = comma != list.npos;
      element.text = trim_blanks(more ? list.substr(comma + 1) : list);
      element.at_its_place = --place == 0;
      if (element.at_its_place) return element;
      if (more) list = list.substr(0, comma);
    }
  }
  return element;
}

// What the outermost trusted proxy has said. Each of them appends to a list, or only one sets it.
std::string_view trusted_word(const HeaderMap& headers, HeaderId id,
                              const ForwardedConfig& config) {
  if (config.trusted_hops == 0 || !headers.has(id)) return {};
  return from_end(headers, id, config.trusted_hops).text;
}

bool has_scheme(std::string_view target, std::string_view scheme) {
  return target.size() > scheme.size() && target[scheme.size()] == ':' &&
         equal_ignoring_case(target.substr(0, scheme.size()), scheme);
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
  const Element element = from_end(head.headers, HeaderId::XForwardedFor, config.trusted_hops);
  if (!element.at_its_place || element.text.empty()) return peer;
  const os::SocketAddress client = parse_client(element.text);
  return client.ip_text().empty() ? peer : client;
}

std::string_view client_scheme(const RequestHead& head, std::string_view scheme,
                               const ForwardedConfig& config) {
  const std::string_view word = trusted_word(head.headers, HeaderId::XForwardedProto, config);
  for (const std::string_view known : {"https", "http"}) {
    if (equal_ignoring_case(word, known) || has_scheme(head.target, known)) return known;
  }
  return scheme;
}

std::string_view client_authority(const RequestHead& head, const ForwardedConfig& config) {
  const std::string_view word = trusted_word(head.headers, HeaderId::XForwardedHost, config);
  return is_authority(word, PortRule::Optional) ? word : head.authority;
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
  if (!headers.has(HeaderId::XForwardedProto))
    headers.add_borrowed(HeaderId::XForwardedProto, scheme);
  if (!headers.has(HeaderId::XForwardedHost) && !head.authority.empty()) {
    headers.add_borrowed(HeaderId::XForwardedHost, head.authority);
  }
}

}  // namespace baton::proxy::http

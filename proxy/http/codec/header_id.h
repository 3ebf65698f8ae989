// The header names that Baton knows, so that looking for one compares a number and no strings.
// Thread: none; constants.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace baton::proxy::http {

// At most 64: HeaderSet has a bit for each.
enum class HeaderId : std::uint8_t {
  Other,  // any name that is not below
  Accept,
  AcceptEncoding,
  AcceptLanguage,
  AcceptRanges,
  Age,
  Authorization,
  CacheControl,
  Connection,
  ContentEncoding,
  ContentLength,
  ContentRange,
  ContentType,
  Cookie,
  Date,
  ETag,
  Expect,
  Expires,
  Forwarded,
  Host,
  Http2Settings,
  IfModifiedSince,
  IfNoneMatch,
  KeepAlive,
  LastModified,
  Location,
  MaxForwards,
  Origin,
  ProxyAuthenticate,
  ProxyAuthorization,
  ProxyConnection,
  Range,
  Referer,
  RetryAfter,
  Server,
  SetCookie,
  Te,
  Trailer,
  TransferEncoding,
  Upgrade,
  UserAgent,
  Vary,
  Via,
  WwwAuthenticate,
  XForwardedFor,
  XForwardedHost,
  XForwardedPort,
  XForwardedProto,
  XRealIp,
  XRequestId,
  kCount
};

// A set of known names.
class HeaderSet {
 public:
  constexpr HeaderSet() = default;
  constexpr HeaderSet(std::initializer_list<HeaderId> ids) {
    for (const HeaderId id : ids) add(id);
  }
  constexpr bool has(HeaderId id) const { return (bits_ >> static_cast<unsigned>(id) & 1U) != 0; }
  constexpr void add(HeaderId id) { bits_ |= std::uint64_t{1} << static_cast<unsigned>(id); }
  constexpr void remove(HeaderId id) { bits_ &= ~(std::uint64_t{1} << static_cast<unsigned>(id)); }

 private:
  std::uint64_t bits_ = 0;
};
static_assert(static_cast<unsigned>(HeaderId::kCount) <= 64);

// Fields about one connection, never forwarded (RFC 9110 section 7.6.1). Framing is among them:
// whoever writes a message says where that message ends.
inline constexpr HeaderSet kHopByHop{
    HeaderId::Connection,       HeaderId::KeepAlive, HeaderId::ProxyConnection, HeaderId::Te,
    HeaderId::TransferEncoding, HeaderId::Upgrade,   HeaderId::Http2Settings};

// In any case. A known name is a token. Precondition: `name` has no control characters.
HeaderId find_header_id(std::string_view name);

// The known name that `name` passes for where '_' is taken for '-' (CGI, WSGI and the like make
// variables of names). Other: none, or it has no '_'. Precondition: as above.
HeaderId find_lookalike_id(std::string_view name);

// In lower case. Empty for Other.
std::string_view header_name(HeaderId id);

}  // namespace baton::proxy::http

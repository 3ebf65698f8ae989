// What a request and a response say before their body.
//
// Every view borrows the bytes that were parsed: they must stay where they are, or be followed with
// rebase(). A head is reused: a parser clears it first. Filters and routes change it in place.
// Thread: none. Neither copied nor moved: added texts live in it.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/codec/header_map.h"

namespace baton::proxy::http {

enum class Version : std::uint8_t { Http10, Http11 };

// Where the body ends (RFC 9112 section 6.3).
enum class BodyFraming : std::uint8_t {
  None,        // there is no body
  Length,      // after content_length bytes, which may be 0
  Chunked,     // ChunkedDecoder says
  UntilClose,  // responses only: when the connection ends
  Tunnel,      // responses only: no HTTP follows (101, CONNECT's 2xx)
};

// Whether the sender is ready for another message on this connection (RFC 9112 section 9.3).
enum class Persistence : std::uint8_t { Close, KeepAlive };

enum class Method : std::uint8_t {
  Other,
  Get,
  Head,
  Post,
  Put,
  Delete,
  Connect,
  Options,
  Trace,
  Patch
};

struct MessageHead {
  Version version = Version::Http11;
  BodyFraming framing = BodyFraming::None;
  Persistence persistence = Persistence::KeepAlive;
  std::uint64_t content_length = 0;  // 0 unless framing is Length
  std::string_view upgrade;  // the Upgrade header, a list, when Connection names it, else empty
  // Content-Length, Transfer-Encoding, Host and the hop-by-hop lines are here as received, but what
  // is written comes from the members above (write_head.h).
  HeaderMap headers;

  // Whether the message goes on behind its head.
  bool has_body() const {
    return framing != BodyFraming::None && (framing != BodyFraming::Length || content_length != 0);
  }
  void clear();
  void rebase(std::string_view from, const char* to);
};

struct RequestHead : MessageHead {
  Method method = Method::Other;
  bool expects_continue = false;  // 100-continue is asked for, and a body is to come
  std::string_view method_name;
  std::string_view target;     // as received
  std::string_view path;       // target in origin-form, with the query; or "*"; CONNECT: empty
  std::string_view authority;  // host[:port]: Host, or the target's; empty only in HTTP/1.0

  void clear();
  void rebase(std::string_view from, const char* to);
};

struct ResponseHead : MessageHead {
  std::uint16_t status = 0;  // 100 to 999
  std::string_view reason;   // may be empty

  bool interim() const { return status < 200 && framing != BodyFraming::Tunnel; }
  void clear();
  void rebase(std::string_view from, const char* to);
};

}  // namespace baton::proxy::http

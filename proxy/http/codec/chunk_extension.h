// Checks the extensions behind a chunk size, byte by byte. Their content is not kept: a proxy that
// writes its own chunks has no use for them, and must only see the same end of the line as others
// do. Thread: none; a plain value. Source: RFC 9112 section 7.1.1:
//   chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
#pragma once

#include <cstdint>

namespace baton::proxy::http {

class ChunkExtension {
 public:
  // False: `c` may not stand here. The CRLF is not part of it.
  bool take(char c);
  // Whether the line may end here.
  bool may_end() const {
    return phase_ == Phase::Name || phase_ == Phase::Token || phase_ == Phase::QuotedEnd;
  }

 private:
  enum class Phase : std::uint8_t {
    BeforeSemicolon,  // behind a size, or blanks behind a value
    BeforeName,
    Name,
    AfterName,  // blanks: '=' or ';' must follow
    BeforeValue,
    Token,
    Quoted,
    Escaped,
    QuotedEnd,
  };
  bool take_after_value(char c);

  Phase phase_ = Phase::BeforeSemicolon;
};

}  // namespace baton::proxy::http

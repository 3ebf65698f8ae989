// The lines between the last chunk and the end of a chunked body, collected because they may arrive
// in pieces. Thread: none. Owns: their bytes. Borrows: limits (outlive it). Source: RFC 9112
// section 7.1.2, RFC 9110 section 6.5. MessageLimits: those of headers.
#pragma once

#include <string>
#include <string_view>

#include "proxy/http/codec/header_map.h"
#include "proxy/http/codec/message_limits.h"
#include "proxy/http/codec/rejection.h"

namespace baton::proxy::http {

class TrailerSection {
 public:
  struct Result {
    bool complete = false;     // the empty line has been read
    std::size_t consumed = 0;  // all of the input unless complete
    const Rejection* rejection = nullptr;
  };

  explicit TrailerSection(const MessageLimits& limits) : limits_(limits) {}

  // Not after a complete or a rejected one.
  Result read(std::string_view input);

  // Complete ones only.
  HeaderMap& fields() { return fields_; }

 private:
  const Rejection* check_line(std::string_view line);
  void collect();

  const MessageLimits& limits_;
  std::string bytes_;
  std::size_t line_ = 0;  // where the unfinished line begins
  std::uint32_t line_count_ = 0;
  HeaderMap fields_;
};

}  // namespace baton::proxy::http

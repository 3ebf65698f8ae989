// Which responses are worth compressing, and may be.
// Thread: any; immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/codec/message_head.h"

namespace baton::proxy::http {

struct CompressionRules {
  std::vector<std::string> content_types;  // "text/html", "text/*"; lower case, never empty
  std::uint64_t min_length = 256;          // bytes; below that the gain is not worth the work

  // Such a response has two forms, or is about one that has, whichever of them a client gets:
  // caches must know (Vary). A 206 is a part of the plain form; a 304 that does not say its type
  // may be about either. Not: another coding, a body whose digest is told, anything a sender wants
  // untouched (no-transform), interim ones and 204.
  bool apply_to(const ResponseHead& head) const;

 private:
  bool has_type(std::string_view content_type) const;
};

}  // namespace baton::proxy::http

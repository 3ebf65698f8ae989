// What a parser says about the bytes it was given.
// Thread: none; a plain value.
#pragma once

#include <cstdint>

#include "proxy/http/codec/rejection.h"

namespace baton::proxy::http {

enum class Progress : std::uint8_t { NeedMore, Complete, Rejected };

struct Verdict {
  Progress progress = Progress::NeedMore;
  std::uint16_t status = 0;    // Rejected: the status to answer
  std::uint32_t consumed = 0;  // Complete: how many bytes the head has, the empty line included
  const Rejection* rejection = nullptr;  // Rejected: never null

  bool need_more() const { return progress == Progress::NeedMore; }
  bool complete() const { return progress == Progress::Complete; }
  bool rejected() const { return progress == Progress::Rejected; }
};

}  // namespace baton::proxy::http

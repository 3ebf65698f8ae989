// What is to go wrong with one request: the decision of the fault filter, without any connection.
// Thread: any; plain values and pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "proxy/http/codec/message_head.h"

namespace baton::proxy::http {

enum class Abort : std::uint8_t { No, Answer, Reset };

struct FaultPlan {
  std::chrono::milliseconds delay{0};
  Abort abort = Abort::No;   // after the delay
  std::uint16_t status = 0;  // of Abort::Answer
};

struct FaultConfig {
  FaultPlan plan;                   // each part of it for so many of a hundred requests
  std::uint32_t delay_percent = 0;  // independently of each other
  std::uint32_t abort_percent = 0;
  // x-fault-delay ("200ms", at most kLongestAsked) and x-fault-abort (200 to 599, "reset") of a
  // request count instead of the above.
  bool by_request = false;
};

inline constexpr std::chrono::seconds kLongestAsked{60};

FaultPlan plan_fault(const FaultConfig& config, const HeaderMap& headers, std::minstd_rand& random);

}  // namespace baton::proxy::http

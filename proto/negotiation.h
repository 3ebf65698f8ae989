// What two programs of different releases agree on: the highest common protocol and the features
// both name. Thread: any; pure.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "proto/types.pb.h"

namespace baton::proto {

inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 1;

// Feature names. A generation that names none but kFeatureListeners still hands over cleanly.
inline constexpr std::string_view kFeatureListeners = "listeners";     // passes listening sockets
inline constexpr std::string_view kFeatureStatsDelta = "stats-delta";  // counters travel by RPC
inline constexpr std::string_view kFeatureMove = "move";               // connections travel
inline constexpr std::string_view kFeatureSessions = "sessions";       // UDP sessions are lent
inline constexpr std::string_view kFeatureReturn = "return";  // comes back to a new supervisor
// Connections travel from one that drains to any later one in charge, not only to the next.
inline constexpr std::string_view kFeatureFollow = "follow";
// Its wildcard listeners accept on sockets of narrower addresses, too, when they get any.
inline constexpr std::string_view kFeatureNarrower = "narrower";

struct Agreement {
  std::uint32_t protocol = 0;
  std::vector<std::string> features;  // sorted
  bool has(std::string_view feature) const;
};

// The error is one line that names both ranges.
std::expected<Agreement, std::string> negotiate(const Hello& ours, const Hello& theirs);

}  // namespace baton::proto

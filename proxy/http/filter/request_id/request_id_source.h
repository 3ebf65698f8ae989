// Makes request ids: random UUIDs (RFC 9562 section 5.4, version 4). Unique, not secret: whoever
// has seen many of one worker could foretell the next.
// Thread: its worker's.
#pragma once

#include <array>
#include <random>
#include <string_view>

namespace baton::proxy::http {

class RequestIdSource {
 public:
  static constexpr std::size_t kLength = 36;
  using Text = std::array<char, kLength>;

  RequestIdSource();

  // "0b5f4c1e-8d1a-4f6e-9b3a-5f0d1c2b3a49"
  Text next();

  // Whether an id that somebody else has made may be kept: 1 to 128 letters, digits and -._~+/=:,
  // so that it means the same in every log.
  static bool acceptable(std::string_view id);

 private:
  std::mt19937_64 random_;
};

}  // namespace baton::proxy::http

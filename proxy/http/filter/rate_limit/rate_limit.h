// HTTP filter: lets so many requests a second through, all together or for each client or header
// value, and answers the others. The buckets are the region's: all generations and workers that
// have a listener of this name enforce one limit.
//
// Thread: its worker's. Borrows: what bind() has made.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "proxy/http/filter/http_filter.h"
#include "proxy/http/filter/rate_limit/limit_subject.h"
#include "shared/region/metric.h"
#include "shared/region/rate_buckets.h"

namespace baton::proxy {
class TableReader;
}

namespace baton::proxy::http {

struct RateLimitConfig {
  region::RateLimit limit;
  LimitSubject subject;
  std::uint16_t status = 429;
};

class RateLimit final : public HttpFilter {
 public:
  // What all requests of one listener on one worker share.
  struct Shared {
    const RateLimitConfig& config;
    region::RateBuckets& buckets;
    region::Counter limited_total;
    std::uint64_t limit = 0;  // which one: a hash of its place in the configuration
  };

  explicit RateLimit(const Shared& shared) : shared_(shared) {}

  HttpFilterStatus decode_headers(RequestHead& head, EndOfStream end) override;
  // Of the refusal: when to come back (RFC 9110 section 10.2.3).
  HttpFilterStatus encode_headers(ResponseHead& head, EndOfStream end) override;

 private:
  const Shared& shared_;
  std::chrono::seconds retry_after_{0};  // 0: it was let through
};

class RateLimitFactory final : public HttpFilterFactory {
 public:
  explicit RateLimitFactory(RateLimitConfig config) : config_(std::move(config)) {}

  // Reads `requests_per_second`, `burst`, `by`, `header` and `status`.
  static std::shared_ptr<const HttpFilterFactory> parse(TableReader& table);
  MakeHttpFilter bind(const HttpFilterContext& context) const override;

 private:
  RateLimitConfig config_;
};

}  // namespace baton::proxy::http

#include "proxy/http/filter/rate_limit/rate_limit.h"

#include <algorithm>
#include <string>
#include <utility>

#include "proxy/config/config.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/table_reader.h"
#include "proxy/http/codec/characters.h"
#include "proxy/stats/stats_store.h"
#include "proxy/upstream/hash_key.h"
#include "shared/region/sample.h"

namespace baton::proxy::http {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr std::int64_t kMostRequests = 1'000'000;

std::uint64_t monotonic_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<nanoseconds>(now).count());
}

LimitSubject read_subject(TableReader& table) {
  LimitSubject subject;
  const auto by = table.choice("by", {"global", "client_address", "header"});
  if (by == "client_address") subject.kind = LimitSubject::Kind::ClientAddress;
  if (by == "header") subject.kind = LimitSubject::Kind::Header;
  const auto header = table.string("header");
  if (header && !is_token(*header)) {
    table.error("header", in_quotes(*header) + " is not a header's name; allowed: \"x-api-key\"");
  } else if (header && by != "header") {
    table.error("header", "is not looked at; allowed: together with by = \"header\"");
  } else if (by == "header") {
    table.require("header", "the name of a header");
  }
  if (header) subject.header = *header;
  return subject;
}

// The limit itself is not part of it: a new generation that changes the figures goes on with what
// the clients have used up.
std::uint64_t key_of(const HttpFilterContext& context, const LimitSubject& subject) {
  const std::string place = std::to_string(context.position) + " " +
                            std::to_string(static_cast<int>(subject.kind)) + " " + subject.header;
  return hash_of_text(place, hash_of_text(context.listener.name));
}

}  // namespace

HttpFilterStatus RateLimit::decode_headers(RequestHead& head, EndOfStream) {
  StreamInfo& info = callbacks().stream_info();
  const RateLimitConfig& config = shared_.config;
  const auto key = subject_key(shared_.limit, config.subject, info.client, head.headers);
  if (!key) return HttpFilterStatus::Continue;
  const auto verdict = shared_.buckets.try_acquire(*key, monotonic_ns(), config.limit);
  if (verdict.allowed) return HttpFilterStatus::Continue;
  // At least one: "now" would be an invitation to try again at once.
  const auto wait = std::chrono::ceil<std::chrono::seconds>(nanoseconds(verdict.retry_after_ns));
  retry_after_ = std::max(wait, 1s);
  info.flags.set(ResponseFlag::RateLimited);
  shared_.limited_total.add();
  callbacks().send_local_reply(config.status, {}, "rate_limited");
  return HttpFilterStatus::StopIteration;
}

HttpFilterStatus RateLimit::encode_headers(ResponseHead& head, EndOfStream) {
  if (retry_after_ > 0s) {
    head.headers.set(HeaderId::RetryAfter, std::to_string(retry_after_.count()));
  }
  return HttpFilterStatus::Continue;
}

std::shared_ptr<const HttpFilterFactory> RateLimitFactory::parse(TableReader& table) {
  RateLimitConfig config;
  table.require("requests_per_second", "1 to " + std::to_string(kMostRequests));
  const std::int64_t rate = table.integer("requests_per_second", 1, kMostRequests).value_or(1);
  config.limit.interval_ns = static_cast<std::uint64_t>(nanoseconds(1s).count() / rate);
  config.limit.burst =
      static_cast<std::uint32_t>(table.integer("burst", 1, kMostRequests).value_or(rate));
  config.subject = read_subject(table);
  config.status =
      static_cast<std::uint16_t>(table.integer("status", 400, 599).value_or(config.status));
  return std::make_shared<RateLimitFactory>(std::move(config));
}

MakeHttpFilter RateLimitFactory::bind(const HttpFilterContext& context) const {
  const region::Counter limited_total = context.lane.counter(context.stats.resolve({
      .name = "baton_http_rate_limited_total",
      .labels = region::label("listener", context.listener.name),
      .help = "Requests refused because a rate limit was reached.",
      .kind = region::MetricKind::Counter,
  }));
  const RateLimit::Shared shared{.config = config_,
                                 .buckets = context.rate_buckets,
                                 .limited_total = limited_total,
                                 .limit = key_of(context, config_.subject)};
  return [shared = std::make_shared<const RateLimit::Shared>(shared)](const RequestHead&) {
    return std::make_unique<RateLimit>(*shared);
  };
}

}  // namespace baton::proxy::http

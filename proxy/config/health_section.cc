#include "proxy/config/health_section.h"

#include <algorithm>
#include <string>

#include "proxy/config/in_quotes.h"

namespace baton::proxy {
namespace {

using namespace std::chrono_literals;

std::uint32_t count(TableReader& section, std::string_view key, std::int64_t least,
                    std::int64_t most, std::uint32_t otherwise) {
  return static_cast<std::uint32_t>(section.integer(key, least, most).value_or(otherwise));
}

// What goes into a request line or a header as it is: no spaces, nothing unprintable.
bool is_visible(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

void read_http_check(TableReader& section, HealthCheckConfig& check) {
  if (const auto path = section.string("path")) {
    check.path = *path;
    if (!path->starts_with('/') || !is_visible(*path)) {
      section.error("path", in_quotes(*path) + " is not a path; allowed: \"/\", \"/healthz\", ...");
    }
  }
  if (const auto host = section.string("host")) {
    check.host = *host;
    if (!is_visible(*host)) {
      section.error("host", in_quotes(*host) + " is not a host; allowed: a name or an address");
    }
  }
  check.expected_status = count(section, "expected_status", 100, 599, check.expected_status);
  if (check.type == HealthCheckConfig::Type::Http) return;
  for (const std::string_view key : {"path", "host", "expected_status"}) {
    if (section.has(key)) section.error(key, "means nothing here; allowed: with type = \"http\"");
  }
}

}  // namespace

std::optional<HealthCheckConfig> read_health_check(TableReader& cluster) {
  auto section = cluster.table("health_check");
  if (!section) return std::nullopt;
  HealthCheckConfig check;
  section->require("type", R"("tcp", "http")");
  const auto type = section->choice("type", {"tcp", "http"});
  // A mistyped one has its own line already; the rest is read as if it were the more general.
  if (type != "tcp") check.type = HealthCheckConfig::Type::Http;
  read_http_check(*section, check);
  check.interval = section->duration("interval", 10ms, 24h).value_or(check.interval);
  check.timeout = section->duration("timeout", 1ms, 1h).value_or(check.timeout);
  check.healthy_threshold = count(*section, "healthy_threshold", 1, 1000, check.healthy_threshold);
  check.unhealthy_threshold =
      count(*section, "unhealthy_threshold", 1, 1000, check.unhealthy_threshold);
  section->finish();
  return check;
}

std::optional<OutlierConfig> read_outlier_detection(TableReader& cluster) {
  auto section = cluster.table("outlier_detection");
  if (!section) return std::nullopt;
  OutlierConfig outlier;
  outlier.consecutive_5xx =
      count(*section, "consecutive_5xx", 0, 1'000'000, outlier.consecutive_5xx);
  outlier.consecutive_connect_failures = count(*section, "consecutive_connect_failures", 0,
                                               1'000'000, outlier.consecutive_connect_failures);
  outlier.base_ejection_time =
      section->duration("base_ejection_time", 1ms, 24h).value_or(outlier.base_ejection_time);
  outlier.max_ejection_time =
      section->duration("max_ejection_time", 1ms, 24h).value_or(outlier.max_ejection_time);
  outlier.max_ejection_percent =
      count(*section, "max_ejection_percent", 0, 100, outlier.max_ejection_percent);
  section->finish();
  return outlier;
}

}  // namespace baton::proxy

#include "proxy/config/http_section.h"

#include <algorithm>
#include <string>
#include <utility>

#include "proxy/config/access_log_section.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/name_hint.h"
#include "proxy/config/route_section.h"
#include "proxy/filter/registry.h"
#include "proxy/http/codec/characters.h"
#include "proxy/http/filter/registry.h"
#include "proxy/http/route/route_table.h"

namespace baton::proxy {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kKiB = 1024;

// A head's bytes stand in memory all at once.
void read_head_limit(TableReader& section, std::string_view key, std::uint64_t least,
                     std::uint64_t most, std::uint32_t& limit) {
  const auto bytes = section.size_bytes(key);
  if (!bytes) return;
  if (*bytes < least || *bytes > most) {
    section.error(key, "is out of range; allowed: " + std::to_string(least / kKiB) + "KiB to " +
                           std::to_string(most / kKiB) + "KiB");
    return;
  }
  limit = static_cast<std::uint32_t>(*bytes);
}

void read_time(TableReader& section, std::string_view key, http::HttpTimeouts::Time& time) {
  const auto read = section.duration(key, 0ms, std::chrono::days(365));
  if (read) time = *read == 0ms ? std::nullopt : read;
}

// RFC 9110 section 7.8: "websocket", "irc/6.9".
bool is_protocol(std::string_view text) {
  const std::size_t slash = text.find('/');
  return http::is_token(text.substr(0, slash)) &&
         (slash == text.npos || http::is_token(text.substr(slash + 1)));
}

void read_upgrades(TableReader& section, std::vector<std::string>& upgrades) {
  auto names = section.strings("upgrades");
  if (!names) return;
  for (std::size_t i = 0; i < names->size(); ++i) {
    std::string& name = (*names)[i];
    std::ranges::transform(name, name.begin(), http::to_lower);
    if (!is_protocol(name)) {
      section.element_error("upgrades", i,
                            in_quotes(name) + R"( is not a protocol; allowed: "websocket")");
    } else if (name == "h2c") {
      section.element_error("upgrades", i,
                            "\"h2c\" would take requests past every route and filter; allowed: "
                            "protocols that carry no HTTP");
    }
  }
  upgrades = *std::move(names);
}

void read_options(TableReader& listener, http::HttpConfig& config) {
  auto section = listener.table("http");
  if (!section) return;
  http::MessageLimits& limits = config.limits;
  read_head_limit(*section, "request_line_bytes", kKiB, 64 * kKiB, limits.start_line_bytes);
  read_head_limit(*section, "header_bytes", kKiB, 1024 * kKiB, limits.header_bytes);
  limits.header_count = static_cast<std::uint32_t>(
      section->integer("header_count", 1, 10'000).value_or(limits.header_count));
  limits.body_bytes = section->size_bytes("body_bytes").value_or(limits.body_bytes);
  http::HttpTimeouts& timeouts = config.timeouts;
  read_time(*section, "header_timeout", timeouts.header);
  read_time(*section, "request_timeout", timeouts.request);
  read_time(*section, "keep_alive_timeout", timeouts.keep_alive);
  read_time(*section, "stream_idle_timeout", timeouts.stream_idle);
  read_time(*section, "half_close_timeout", timeouts.half_close);
  config.forwarded.trusted_hops = static_cast<std::uint32_t>(
      section->integer("trusted_hops", 0, 100).value_or(config.forwarded.trusted_hops));
  config.max_requests_per_connection =
      static_cast<std::uint32_t>(section->integer("max_requests_per_connection", 0, 1'000'000'000)
                                     .value_or(config.max_requests_per_connection));
  read_upgrades(*section, config.upgrades);
  config.connect = section->boolean("connect").value_or(config.connect);
  section->finish();
}

// A network filter may stand ahead of the HTTP proxy, unless an HTTP filter has its name.
const NetworkFilterRegistration* usable_network_filter(std::string_view type) {
  const NetworkFilterRegistration* const filter = find_network_filter(type);
  return filter != nullptr && !filter->terminal ? filter : nullptr;
}

std::string types_of_http_filters() {
  std::vector<std::string> types;
  for (const auto& filter : http::http_filters()) types.emplace_back(filter.type);
  for (const auto& filter : network_filters()) {
    if (!filter.terminal && http::find_http_filter(filter.type) == nullptr) {
      types.emplace_back(filter.type);
    }
  }
  std::ranges::sort(types);
  return list_names(types, NameStyle::Quoted);
}

void read_filters(TableReader& listener, HttpListener& result, http::HttpConfig& config) {
  const std::string allowed = types_of_http_filters();
  auto sections = listener.tables("filter", "type");
  if (!sections) return;
  for (TableReader& section : *sections) {
    section.require("type", allowed);
    const auto type = section.string("type");
    if (!type) continue;
    if (const auto* const filter = http::find_http_filter(*type)) {
      config.filters.push_back(filter->parse(section));
    } else if (const auto* const network_filter = usable_network_filter(*type)) {
      if (!config.filters.empty()) {
        section.error("type", in_quotes(*type) +
                                  " sees connections, and a filter ahead of it requests; allowed: "
                                  "the filters of connections first");
      }
      result.network_filters.push_back(network_filter->parse(section));
    } else {
      section.error("type", in_quotes(*type) + " is not a filter of HTTP; allowed: " + allowed);
      continue;
    }
    section.finish();
  }
}

std::shared_ptr<const http::RouteTable> read_routes(TableReader& listener) {
  const auto cluster = listener.cluster("cluster");
  auto sections = listener.tables("route", "name");
  if (!sections) return nullptr;
  if (cluster && !sections->empty()) {
    listener.error("cluster", "there are routes; allowed: one of the two");
  } else if (cluster) {
    return http::RouteTable::to_cluster(*cluster);
  } else if (sections->empty() && !listener.has("cluster")) {
    listener.error("route", "is missing; allowed: one [[listener.route]] or more, or cluster");
  }
  UniqueNames names;
  std::vector<http::Route> routes;
  for (TableReader& section : *sections) routes.push_back(read_route(section, names));
  return std::make_shared<const http::RouteTable>(std::move(routes));
}

}  // namespace

HttpListener read_http(TableReader& listener) {
  HttpListener result;
  auto config = std::make_shared<http::HttpConfig>();
  read_options(listener, *config);
  read_filters(listener, result, *config);
  config->access_log = read_access_log(listener);
  config->routes = read_routes(listener);
  result.config = std::move(config);
  return result;
}

}  // namespace baton::proxy

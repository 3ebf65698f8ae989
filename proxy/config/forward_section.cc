#include "proxy/config/forward_section.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "proxy/config/http_text.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/one_of_keys.h"
#include "proxy/config/retry_section.h"

namespace baton::proxy {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::string_view, 8> kOptions{
    "prefix_rewrite", "regex_rewrite", "host_rewrite", "timeout",
    "idle_timeout",   "retry",         "hash",         "request_headers"};

std::vector<http::WeightedCluster> read_clusters(TableReader& section) {
  std::vector<http::WeightedCluster> clusters;
  if (auto name = section.cluster("cluster")) clusters.push_back({.name = *std::move(name)});
  auto elements = section.tables("clusters", "name");
  if (!elements) return clusters;
  std::uint64_t sum = 0;
  for (TableReader& element : *elements) {
    http::WeightedCluster cluster;
    element.require("name", "the name of a cluster");
    cluster.name = element.cluster("name").value_or("");
    cluster.weight = static_cast<std::uint32_t>(
        element.integer("weight", 0, 1'000'000).value_or(cluster.weight));
    sum += cluster.weight;
    element.finish();
    clusters.push_back(std::move(cluster));
  }
  if (section.has("clusters") && sum == 0) {
    section.error("clusters", "no cluster gets any request; allowed: one or more with a weight");
  }
  return clusters;
}

std::optional<http::RegexRewrite> read_regex_rewrite(TableReader& route) {
  auto section = route.table("regex_rewrite");
  if (!section) return std::nullopt;
  section->require("pattern", "a regular expression");
  section->require("substitution", R"(text, with \1 to \9 for groups)");
  auto regex = read_regex(*section, "pattern");
  auto substitution = section->string("substitution");
  section->finish();
  if (!regex || !substitution) return std::nullopt;
  // '\' stands before a group's number: RE2 checks that.
  for (const char c : *substitution) {
    if (c == '\\' || is_path(std::string("/") + c, Query::Refused)) continue;
    section->error("substitution", in_quotes(*substitution) +
                                       " cannot be part of a path; allowed: percent-encoded text "
                                       "without a query");
    return std::nullopt;
  }
  if (const std::string mistake = regex->check_substitution(*substitution); !mistake.empty()) {
    section->error(
        "substitution",
        one_line(mistake) + R"(; allowed: \0 for all of the match, \1 to \9 for groups)");
    return std::nullopt;
  }
  return http::RegexRewrite{*std::move(regex), *std::move(substitution)};
}

void read_rewrites(TableReader& section, http::ForwardAction& action) {
  action.prefix_rewrite = read_path(section, "prefix_rewrite");
  action.regex_rewrite = read_regex_rewrite(section);
  action.host_rewrite = read_authority(section, "host_rewrite").value_or("");
  constexpr std::array<std::string_view, 2> kPaths{"prefix_rewrite", "regex_rewrite"};
  at_most_one_of(section, kPaths);
  if (section.has("prefix_rewrite") && !section.has("path_prefix") && !section.has("path")) {
    section.error("prefix_rewrite",
                  "the route matches no prefix; allowed: with path_prefix or path");
  }
}

std::optional<http::HashPolicy> read_hash(TableReader& route) {
  using Source = http::HashPolicy::Source;
  constexpr std::array<std::string_view, 3> kSources{"header", "cookie", "client_address"};
  auto section = route.table("hash");
  if (!section) return std::nullopt;
  exactly_one_of(*section, kSources);
  http::HashPolicy policy;
  if (auto header = read_header_name(*section, "header")) {
    policy = {.source = Source::Header, .name = *std::move(header)};
  } else if (auto cookie = read_header_name(*section, "cookie")) {
    policy = {.source = Source::Cookie, .name = *std::move(cookie)};
  }
  if (section->boolean("client_address") == false) {
    section->error("client_address", "says nothing; allowed: true, or leave it out");
  }
  section->finish();
  return policy;
}

}  // namespace

http::ForwardAction read_forward(TableReader& section) {
  http::ForwardAction action;
  action.clusters = read_clusters(section);
  read_rewrites(section, action);
  if (const auto timeout = section.duration("timeout", 0ms, std::chrono::days(365))) {
    action.timeout = *timeout == 0ms ? std::nullopt : timeout;
  }
  action.idle_timeout = section.duration("idle_timeout", 0ms, std::chrono::days(365));
  action.retry = read_retry(section);
  action.hash = read_hash(section);
  return action;
}

void refuse_forward_options(TableReader& section, std::string_view action) {
  for (const std::string_view key : kOptions) {
    if (!section.has(key)) continue;
    section.error(key, "a " + std::string(action) +
                           " goes to no upstream; allowed: with cluster or clusters");
  }
}

}  // namespace baton::proxy

#include "proxy/http/route/route_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/http/codec/authority.h"
#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

// Calls `found` with each ".b.c" of "a.b.c", the longest first, until it answers true.
template <class Found>
void each_parent(std::string_view host, Found found) {
  for (std::size_t dot = host.find('.', 1); dot != host.npos; dot = host.find('.', dot + 1)) {
    if (found(host.substr(dot))) return;
  }
}

}  // namespace

RouteTable::RouteTable(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (std::uint32_t i = 0; i < routes_.size(); ++i) {
    routes_[i].index = i;
    probes_.emplace_back(routes_[i].match.path);
  }
  number_clusters();
  index_hosts();
}

std::shared_ptr<const RouteTable> RouteTable::to_cluster(std::string cluster) {
  ForwardAction action;
  action.clusters.push_back({.name = std::move(cluster)});
  std::vector<Route> routes(1);
  routes.front().action = std::move(action);
  return std::make_shared<const RouteTable>(std::move(routes));
}

void RouteTable::number_clusters() {
  std::unordered_map<std::string, std::uint32_t> numbers;
  for (Route& route : routes_) {
    auto* const action = std::get_if<ForwardAction>(&route.action);
    if (action == nullptr) continue;
    for (WeightedCluster& cluster : action->clusters) {
      const auto [number, is_new] =
          numbers.emplace(cluster.name, static_cast<std::uint32_t>(clusters_.size()));
      if (is_new) clusters_.push_back(cluster.name);
      cluster.index = number->second;
    }
  }
}

void RouteTable::index_hosts() {
  for (const Route& route : routes_) {
    const std::string& host = route.match.host;
    if (host.empty()) {
      any_host_.push_back(route.index);
    } else if (host.starts_with("*.")) {
      wildcards_[host.substr(1)].push_back(route.index);
    } else {
      exact_[host].push_back(route.index);
    }
  }
  // Then each list gets the routes of the wildcards above it, so that one look-up finds them all.
  const ByHost own = wildcards_;
  const auto complete = [&own](ByHost& lists) {
    for (auto& [host, indices] : lists) {
      each_parent(host, [&own, &list = indices](std::string_view parent) {
        const auto above = own.find(parent);
        if (above != own.end()) {
          list.insert(list.end(), above->second.begin(), above->second.end());
        }
        return false;
      });
      std::ranges::sort(indices);
    }
  };
  complete(exact_);
  complete(wildcards_);
}

std::span<const std::uint32_t> RouteTable::naming(std::string_view authority) const {
  if (exact_.empty() && wildcards_.empty()) return {};
  const std::string_view host = host_of(authority);
  std::array<char, kLongestHost> lower;
  if (host.size() > lower.size()) return {};
  std::ranges::transform(host, lower.begin(), to_lower);
  const std::string_view key(lower.data(), host.size());
  if (const auto exact = exact_.find(key); exact != exact_.end()) return exact->second;
  std::span<const std::uint32_t> indices;
  each_parent(key, [this, &indices](std::string_view parent) {
    const auto wildcard = wildcards_.find(parent);
    if (wildcard == wildcards_.end()) return false;
    indices = wildcard->second;
    return true;
  });
  return indices;
}

const Route* RouteTable::match(const RequestHead& head) const {
  const std::string_view path = without_query(head.path);
  const PathProbe::Word beginning = PathProbe::beginning_of(path);
  const auto named = naming(head.authority);
  // Both lists ascend: whichever is behind goes next.
  auto one = named.begin();
  auto other = any_host_.begin();
  while (one != named.end() || other != any_host_.end()) {
    const bool take_one = other == any_host_.end() || (one != named.end() && *one < *other);
    const std::uint32_t index = take_one ? *one++ : *other++;
    if (!probes_[index].may_match(beginning)) continue;
    if (routes_[index].match.holds(head, path)) return &routes_[index];
  }
  return nullptr;
}

}  // namespace baton::proxy::http

// The routes of a listener. The first one in the order of the configuration that matches wins.
//
// Thread: any; immutable. Borrowed by the requests that it routes, so it outlives them.
// Invariant: match() gives what walking all routes in their order would, but looks only at those
// whose host can be the request's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/http/route/path_probe.h"
#include "proxy/http/route/route.h"

namespace baton::proxy::http {

class RouteTable {
 public:
  explicit RouteTable(std::vector<Route> routes);
  // One route, for every request: `cluster = "..."` of a listener.
  static std::shared_ptr<const RouteTable> to_cluster(std::string cluster);
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // Null: none; the answer is 404. Hosts are compared in any case and without the port; a request
  // without a host (HTTP/1.0) or with one of more than kLongestHost bytes has none of those named.
  const Route* match(const RequestHead& head) const;
  static constexpr std::size_t kLongestHost = 253;  // of a domain name

  std::span<const Route> routes() const { return routes_; }
  // The names of all clusters that routes forward to, each once.
  const std::vector<std::string>& clusters() const { return clusters_; }

 private:
  using Indices = std::vector<std::uint32_t>;  // of routes, ascending
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using ByHost = std::unordered_map<std::string, Indices, TextHash, std::equal_to<>>;

  void number_clusters();
  void index_hosts();
  // The routes that name the host or a wildcard for it.
  std::span<const std::uint32_t> naming(std::string_view authority) const;

  std::vector<Route> routes_;
  std::vector<PathProbe> probes_;  // of the routes
  std::vector<std::string> clusters_;
  ByHost exact_;      // "a.example.com": with the routes of wildcards for it
  ByHost wildcards_;  // ".example.com": with those of shorter wildcards
  Indices any_host_;
};

}  // namespace baton::proxy::http

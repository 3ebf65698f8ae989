#include "proxy/config/load_config.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "proxy/config/address_text.h"
#include "proxy/config/cluster_section.h"
#include "proxy/config/config_document.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/listener_section.h"
#include "proxy/config/listening_addresses.h"
#include "proxy/config/unique_names.h"

namespace baton::proxy {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMostWorkers = 64;

// The supervisor reads this table for itself; here it is only checked, so that `proxy --check`
// finds every mistake of a file.
void check_supervisor(TableReader& root) {
  auto section = root.table("supervisor");
  if (!section) return;
  section->duration("drain_time", 0ms, std::chrono::days(30));
  section->choice("drain_strategy", {"gradual", "immediate"});
  section->duration("probation", 0ms, 1h);
  section->duration("start_timeout", 1ms, 1h);
  section->integer("max_draining", 1, 32);
  section->finish();
}

void read_dns_servers(TableReader& section, Config& config) {
  const std::string allowed = R"(; allowed: "192.0.2.1:53" or "[2001:db8::1]:53")";
  const auto servers = section.strings("dns_servers");
  if (!servers) return;
  if (servers->empty()) section.error("dns_servers", "is empty" + allowed);
  for (std::size_t i = 0; i < servers->size(); ++i) {
    const auto address = parse_address_text((*servers)[i]);
    if (!address) {
      section.element_error("dns_servers", i, address.error() + allowed);
    } else if (address->is_unix() || address->port() == 0) {
      section.element_error("dns_servers", i,
                            in_quotes((*servers)[i]) + " is not a server's address" + allowed);
    } else {
      config.dns_servers.push_back(*address);
    }
  }
}

void read_proxy(TableReader& root, Config& config) {
  std::int64_t workers = 0;
  if (auto section = root.table("proxy")) {
    workers = section->integer("workers", 0, kMostWorkers).value_or(0);
    config.move_connections =
        section->boolean("move_connections").value_or(config.move_connections);
    read_dns_servers(*section, config);
    config.warm_time = section->duration("warm_time", 0ms, 1h).value_or(config.warm_time);
    section->finish();
  }
  config.workers = workers == 0 ? default_workers() : static_cast<std::uint32_t>(workers);
}

void read_admin(TableReader& root, ListeningAddresses& addresses, Config& config) {
  auto section = root.table("admin");
  if (!section) return;
  config.admin = addresses.take(*section, Transport::Stream);
  section->finish();
}

// A datagram has no place for a header of ours, and a unix socket takes none from a client without
// a name of its own.
void check_datagrams(TableReader& section, const ClusterConfig& cluster,
                     const std::vector<ListenerConfig>& listeners) {
  const auto listener = std::ranges::find_if(listeners, [&](const ListenerConfig& each) {
    return each.protocol == Protocol::Udp && each.cluster == cluster.name;
  });
  if (listener == listeners.end()) return;
  const std::string whose =
      "the UDP listener " + in_quotes(listener->name) + " sends datagrams here";
  if (cluster.send_proxy_protocol) {
    section.error("send_proxy_protocol", whose + "; allowed: clusters of TCP and HTTP listeners");
  }
  const auto unix_endpoint = std::ranges::find_if(cluster.endpoints, &os::SocketAddress::is_unix,
                                                  &EndpointConfig::address);
  if (unix_endpoint != cluster.endpoints.end()) {
    section.error("endpoints", whose + ", and " + in_quotes(unix_endpoint->address.text()) +
                                   " is a unix address; allowed: IP addresses, and names");
  }
}

void read_document(ConfigDocument& document, Config& config) {
  TableReader root = document.root();
  ListeningAddresses addresses;
  check_supervisor(root);
  read_proxy(root, config);
  read_admin(root, addresses, config);

  UniqueNames listener_names;
  if (auto sections = root.tables("listener", "name")) {
    if (sections->empty()) root.error("listener", "is missing; allowed: one [[listener]] or more");
    for (TableReader& section : *sections) {
      config.listeners.push_back(read_listener(section, listener_names, addresses));
    }
  }
  UniqueNames cluster_names;
  if (auto sections = root.tables("cluster", "name")) {
    for (TableReader& section : *sections) {
      config.clusters.push_back(read_cluster(section, cluster_names));
      check_datagrams(section, config.clusters.back(), config.listeners);
    }
    document.resolve_clusters(cluster_names.names());
  }
  root.finish();
}

}  // namespace

// A machine with more CPUs than the set can tell has more than kMostWorkers as well.
std::uint32_t default_workers() {
  cpu_set_t cpus;
  if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0) return kMostWorkers;
  return std::clamp<std::uint32_t>(static_cast<std::uint32_t>(CPU_COUNT(&cpus)), 1, kMostWorkers);
}

std::expected<Config, std::vector<ConfigError>> load_config(std::string_view bytes,
                                                            const std::string& file) {
  ConfigDocument document(bytes, file);
  Config config;
  if (document.parsed()) read_document(document, config);
  std::vector<ConfigError> errors = document.take_errors();
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return config;
}

}  // namespace baton::proxy

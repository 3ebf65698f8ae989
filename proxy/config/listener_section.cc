#include "proxy/config/listener_section.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/http_section.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/name_hint.h"
#include "proxy/filter/registry.h"

namespace baton::proxy {
namespace {

using namespace std::chrono_literals;

// A UDP session has no end that could be seen, so there is always a limit.
constexpr std::chrono::milliseconds kUdpIdleTimeout{60'000};

std::vector<std::string> types_of_network_filters() {
  std::vector<std::string> types;
  for (const NetworkFilterRegistration& filter : network_filters()) types.emplace_back(filter.type);
  return types;
}

std::string types_of_terminal_filters() {
  std::vector<std::string> types;
  for (const NetworkFilterRegistration& filter : network_filters()) {
    if (filter.terminal) types.emplace_back(filter.type);
  }
  return list_names(types, NameStyle::Quoted);
}

// Reads the `type` and finds what it names; nothing: recorded.
const NetworkFilterRegistration* filter_type(TableReader& section) {
  const std::vector<std::string> types = types_of_network_filters();
  const std::string list = list_names(types, NameStyle::Quoted);
  section.require("type", list);
  const auto type = section.string("type");
  if (!type) return nullptr;
  const NetworkFilterRegistration* const filter = find_network_filter(*type);
  if (filter == nullptr) {
    section.error("type", in_quotes(*type) + " is not a filter; allowed: " + list);
  }
  return filter;
}

struct FilterChain {
  std::vector<std::shared_ptr<const NetworkFilterFactory>> factories;
  const NetworkFilterRegistration* terminal = nullptr;
  bool complete = true;  // false: something that could have ended it cannot be read
};

FilterChain read_filters(TableReader& listener) {
  FilterChain chain;
  auto sections = listener.tables("filter", "type");
  if (!sections) {
    chain.complete = false;
    return chain;
  }
  for (TableReader& section : *sections) {
    const NetworkFilterRegistration* const filter = filter_type(section);
    if (filter == nullptr) {
      chain.complete = false;
      continue;
    }
    if (filter->terminal) {
      chain.terminal = filter;
      if (&section != &sections->back()) {
        section.error("type",
                      in_quotes(filter->type) +
                          " ends the chain, and another filter follows it; allowed: only as "
                          "the last filter");
      }
    }
    chain.factories.push_back(filter->parse(section));
    section.finish();
  }
  return chain;
}

// A chain ends in one terminal filter: the last of its own, or the one that `cluster` stands for.
void end_chain(TableReader& section, FilterChain& chain) {
  const auto cluster = section.cluster("cluster");
  if (section.has("cluster")) {
    if (chain.terminal != nullptr) {
      section.error("cluster", "the filter " + in_quotes(chain.terminal->type) +
                                   " ends the chain already; allowed: one of the two");
    } else if (cluster) {
      chain.factories.push_back(make_tcp_proxy_factory(*cluster));
    }
  } else if (chain.terminal == nullptr && chain.complete) {
    section.error("cluster",
                  "is missing, and no filter ends the chain; allowed: the name of a "
                  "cluster, or a last filter of type " +
                      types_of_terminal_filters());
  }
}

void read_tcp_listener(TableReader& section, ListenerConfig& listener, bool known_protocol) {
  FilterChain chain = read_filters(section);
  if (!known_protocol) chain.complete = false;
  for (const std::string_view key : {"route", "http", "access_log"}) {
    if (!section.has(key)) continue;
    chain.complete = false;
    section.error(key, R"(is for another protocol; allowed: with protocol = "http")");
  }
  end_chain(section, chain);
  listener.filters = std::move(chain.factories);
}

void read_udp_listener(TableReader& section, ListenerConfig& listener) {
  listener.protocol = Protocol::Udp;
  for (const std::string_view key : {"filter", "route", "http", "access_log", "backlog"}) {
    if (!section.has(key)) continue;
    section.error(key, R"(is for another protocol; allowed: not with protocol = "udp")");
  }
  section.require("cluster", "the name of a cluster");
  listener.cluster = section.cluster("cluster").value_or("");
}

void read_http_listener(TableReader& section, ListenerConfig& listener) {
  HttpListener read = read_http(section);
  listener.protocol = Protocol::Http;
  listener.filters = std::move(read.network_filters);
  listener.http = std::move(read.config);
  listener.filters.push_back(make_http_factory(listener.http));
}

}  // namespace

ListenerConfig read_listener(TableReader& section, UniqueNames& names,
                             ListeningAddresses& addresses) {
  ListenerConfig listener;
  listener.name = names.take(section);
  section.require("protocol", R"("tcp", "udp", "http")");
  const auto protocol = section.choice("protocol", {"tcp", "udp", "http"});
  const Transport transport = protocol == "udp" ? Transport::Datagram : Transport::Stream;
  if (const auto address = addresses.take(section, transport)) listener.address = *address;
  if (protocol == "http") {
    read_http_listener(section, listener);
  } else if (protocol == "udp") {
    read_udp_listener(section, listener);
  } else {
    read_tcp_listener(section, listener, protocol || !section.has("protocol"));
  }
  listener.idle_timeout = section.duration("idle_timeout", 1ms, std::chrono::days(365));
  if (listener.http && !listener.idle_timeout) {
    listener.idle_timeout = listener.http->timeouts.keep_alive;
  }
  if (listener.protocol == Protocol::Udp && !listener.idle_timeout) {
    listener.idle_timeout = kUdpIdleTimeout;
  }
  listener.max_connections = static_cast<std::uint32_t>(
      section.integer("max_connections", 0, 1'000'000'000).value_or(listener.max_connections));
  listener.backlog =
      static_cast<std::uint32_t>(section.integer("backlog", 1, 65535).value_or(listener.backlog));
  section.finish();
  return listener;
}

}  // namespace baton::proxy

// Looks up names on the main thread's loop without ever blocking it: hosts (A and AAAA, the hosts
// file first) and services (SRV, then their hosts).
//
// Thread: main. Owns: the c-ares channel with its sockets. Borrows: the loop.
// Source: ares_getaddrinfo(3), ares_query(3), RFC 2782 (SRV).
#pragma once

#include <ev++.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxy/upstream/endpoint_source.h"
#include "shared/os/socket_address.h"

struct ares_channeldata;

namespace baton::proxy {

class DnsResolver {
 public:
  struct Answer {
    std::vector<FoundEndpoint> endpoints;  // by address, no two alike; may be empty for a service
    std::chrono::seconds ttl{0};           // the shortest of all records that led there
    // Of a service: what each of its records' hosts has, by "host:port"; nothing where that could
    // not be found out, and then why.
    std::map<std::string, std::optional<std::vector<FoundEndpoint>>> hosts;
    std::string missing;
  };
  struct Failure {
    std::string text;    // for a log: "host not found"
    bool final = false;  // that is what the name servers say
  };
  using Done = std::function<void(std::expected<Answer, Failure>)>;

  // `servers` empty: those of the system's configuration.
  DnsResolver(ev::loop_ref loop, std::span<const os::SocketAddress> servers);
  // Look-ups in progress are given up; their `done` is not called.
  ~DnsResolver();
  DnsResolver(const DnsResolver&) = delete;
  DnsResolver& operator=(const DnsResolver&) = delete;

  // `done` may be called from within. IPv4 addresses or, if the name is said to have none, IPv6
  // ones: that IPv4 could not be asked for is a failure.
  void resolve_host(const std::string& host, std::uint16_t port, Done done);
  // All records, with their ports, weights and priorities.
  void resolve_service(const std::string& service, Done done);

 private:
  struct HostQuery;
  struct ServiceQuery;

  void ask(const std::string& host, int family, std::unique_ptr<HostQuery> query);
  bool is_from_servers(const char* name);
  void on_socket(int fd, bool readable, bool writable);
  void on_event(ev::io& watcher, int events) noexcept;
  void on_timer(ev::timer& watcher, int events) noexcept;
  void arm_timer();

  ev::loop_ref loop_;
  std::string init_error_;
  ares_channeldata* channel_ = nullptr;  // null, too, while it is being destroyed
  std::map<int, std::unique_ptr<ev::io>> watchers_;
  std::vector<std::unique_ptr<ev::io>> retired_;  // their own callback may be running
  ev::timer timer_;
};

}  // namespace baton::proxy

#include "proxy/upstream/dns_resolver.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "proxy/upstream/srv_reply.h"

namespace baton::proxy {
namespace {

constexpr int kClassIn = 1;
constexpr int kTypeSrv = 33;
// Three tries of one, two and four seconds to each server.
constexpr int kTimeoutMs = 1000;
constexpr int kTries = 3;

void initialize_library() {
  static std::once_flag once;
  std::call_once(once, [] { ::ares_library_init(ARES_LIB_INIT_ALL); });
}

std::string list_of(std::span<const os::SocketAddress> servers) {
  std::string list;
  for (const os::SocketAddress& server : servers) {
    if (!list.empty()) list += ",";
    list += server.text();
  }
  return list;
}

// By address, each once: where it comes first.
void normalize(std::vector<FoundEndpoint>& endpoints) {
  std::ranges::sort(endpoints, {}, [](const FoundEndpoint& each) {
    return std::pair(each.address.text(), each.priority);
  });
  const auto doubled = std::ranges::unique(endpoints, {}, &FoundEndpoint::address);
  endpoints.erase(doubled.begin(), doubled.end());
}

DnsResolver::Answer answer_from(const ares_addrinfo& result) {
  DnsResolver::Answer answer;
  int ttl = std::numeric_limits<int>::max();
  for (const auto* name = result.cnames; name != nullptr; name = name->next) {
    ttl = std::min(ttl, name->ttl);
  }
  for (const int family : {AF_INET, AF_INET6}) {
    for (const auto* node = result.nodes; node != nullptr; node = node->ai_next) {
      if (node->ai_family != family) continue;
      ttl = std::min(ttl, node->ai_ttl);
      answer.endpoints.push_back(
          {.address = os::SocketAddress::from_sockaddr(node->ai_addr, node->ai_addrlen)});
    }
    if (!answer.endpoints.empty()) break;
  }
  normalize(answer.endpoints);
  answer.ttl = std::chrono::seconds(std::max(0, ttl));
  return answer;
}

}  // namespace

// One query for both families. As c-ares makes a success of one that has an answer for IPv6 and an
// error for IPv4, an answer without IPv4 is followed by a query for IPv4 alone.
struct DnsResolver::HostQuery {
  DnsResolver& resolver;
  std::uint16_t port;
  Done done;
  std::optional<Answer> ipv6;  // during the second query

  static void on_result(void* argument, int status, int, ares_addrinfo* result) noexcept {
    std::unique_ptr<HostQuery> query(static_cast<HostQuery*>(argument));
    const std::unique_ptr<ares_addrinfo, decltype(&::ares_freeaddrinfo)> owned(
        result, &::ares_freeaddrinfo);
    DnsResolver& resolver = query->resolver;
    // A query that is given up with one family's answer at hand ends as a success.
    if (status == ARES_EDESTRUCTION || resolver.channel_ == nullptr) return;
    if (query->ipv6 && (status == ARES_ENODATA || status == ARES_ENOTFOUND)) {
      return query->done(std::move(*query->ipv6));
    }
    if (status != ARES_SUCCESS) {
      const bool final = status == ARES_ENOTFOUND;  // no data: of one family, at times
      return query->done(std::unexpected(Failure{::ares_strerror(status), final}));
    }
    Answer answer = answer_from(*result);
    if (answer.endpoints.empty() && query->ipv6) return query->done(std::move(*query->ipv6));
    if (answer.endpoints.empty()) return query->done(std::unexpected(Failure{"no address", true}));
    const bool has_ipv4 = answer.endpoints.front().address.family() == AF_INET;
    if (has_ipv4 || !resolver.is_from_servers(result->name)) {
      return query->done(std::move(answer));
    }
    query->ipv6 = std::move(answer);
    // The final dot: exactly the name that was found, not one of another search domain.
    resolver.ask(std::string(result->name) + ".", AF_INET, std::move(query));
  }
};

// One SRV query, then one host query for each record. Shared by these, ended by the last.
struct DnsResolver::ServiceQuery {
  explicit ServiceQuery(DnsResolver& owner) : resolver(owner) {}

  static void on_result(void* argument, int status, int, unsigned char* bytes,
                        int length) noexcept {
    const std::unique_ptr<std::shared_ptr<ServiceQuery>> holder(
        static_cast<std::shared_ptr<ServiceQuery>*>(argument));
    const std::shared_ptr<ServiceQuery>& query = *holder;
    if (status == ARES_EDESTRUCTION) return;
    if (status != ARES_SUCCESS) {
      return query->done(std::unexpected(Failure{::ares_strerror(status)}));
    }
    const auto records = parse_srv_reply({bytes, static_cast<std::size_t>(length)});
    if (!records) return query->done(std::unexpected(Failure{records.error()}));
    look_up(query, *records);
  }

  static void look_up(const std::shared_ptr<ServiceQuery>& query,
                      const std::vector<SrvRecord>& records) {
    query->answer.ttl = std::chrono::seconds::max();
    query->left = records.size();
    if (records.empty()) return query->done(std::unexpected(Failure{"no such service"}));
    for (const SrvRecord& record : records) {
      query->answer.ttl = std::min(query->answer.ttl, std::chrono::seconds(record.ttl_seconds));
      query->resolver.resolve_host(record.host, record.port, [query, record](auto found) {
        query->on_host(std::move(found), record);
      });
    }
  }

  // A record whose host cannot be found does not spoil the others.
  void on_host(std::expected<Answer, Failure> found, const SrvRecord& record) {
    auto& known = answer.hosts[record.host + ":" + std::to_string(record.port)];
    if (found) {
      answer.ttl = std::min(answer.ttl, found->ttl);
      for (FoundEndpoint& endpoint : found->endpoints) {
        endpoint.weight = std::max<std::uint32_t>(1, record.weight);
        endpoint.priority = record.priority;
      }
      answer.endpoints.insert(answer.endpoints.end(), found->endpoints.begin(),
                              found->endpoints.end());
      known = std::move(found->endpoints);
    } else if (failure = found.error(); failure.final) {
      known.emplace();
    } else {
      answer.missing = record.host + ": " + failure.text;
    }
    if (--left > 0) return;
    if (answer.endpoints.empty()) return done(std::unexpected(failure));
    normalize(answer.endpoints);
    done(std::move(answer));
  }

  DnsResolver& resolver;
  Done done;
  Answer answer;
  Failure failure;
  std::size_t left = 0;
};

DnsResolver::DnsResolver(ev::loop_ref loop, std::span<const os::SocketAddress> servers)
    : loop_(loop), timer_(loop) {
  timer_.set<DnsResolver, &DnsResolver::on_timer>(this);
  initialize_library();
  ares_options options{};
  options.timeout = kTimeoutMs;
  options.tries = kTries;
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) noexcept {
    static_cast<DnsResolver*>(self)->on_socket(fd, readable != 0, writable != 0);
  };
  int status = ::ares_init_options(&channel_, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (status == ARES_SUCCESS && !servers.empty()) {
    status = ::ares_set_servers_ports_csv(channel_, list_of(servers).c_str());
  }
  if (status != ARES_SUCCESS) init_error_ = ::ares_strerror(status);
}

DnsResolver::~DnsResolver() {
  if (channel_ != nullptr) ::ares_destroy(std::exchange(channel_, nullptr));
}

void DnsResolver::resolve_host(const std::string& host, std::uint16_t port, Done done) {
  if (!init_error_.empty()) return done(std::unexpected(Failure{init_error_}));
  ask(host, AF_UNSPEC, std::make_unique<HostQuery>(*this, port, std::move(done)));
  arm_timer();
}

void DnsResolver::ask(const std::string& host, int family, std::unique_ptr<HostQuery> query) {
  const std::string port = std::to_string(query->port);
  const ares_addrinfo_hints hints{.ai_flags = ARES_AI_NOSORT | ARES_AI_NUMERICSERV,
                                  .ai_family = family,
                                  .ai_socktype = SOCK_STREAM,
                                  .ai_protocol = IPPROTO_TCP};
  ::ares_getaddrinfo(channel_, host.c_str(), port.c_str(), &hints, &HostQuery::on_result,
                     query.release());
}

// Not so: an IPv6 address that was looked up as a name, which has none, and what the hosts file
// has, which must not depend on name servers.
bool DnsResolver::is_from_servers(const char* name) {
  hostent* entry = nullptr;
  if (name == nullptr) return false;
  if (::ares_gethostbyname_file(channel_, name, AF_INET6, &entry) != ARES_SUCCESS) return true;
  ::ares_free_hostent(entry);
  return false;
}

void DnsResolver::resolve_service(const std::string& service, Done done) {
  if (!init_error_.empty()) return done(std::unexpected(Failure{init_error_}));
  auto query = std::make_shared<ServiceQuery>(*this);
  query->done = std::move(done);
  auto holder = std::make_unique<std::shared_ptr<ServiceQuery>>(std::move(query));
  ::ares_query(channel_, service.c_str(), kClassIn, kTypeSrv, &ServiceQuery::on_result,
               holder.release());
  arm_timer();
}

void DnsResolver::on_socket(int fd, bool readable, bool writable) {
  std::unique_ptr<ev::io>& watcher = watchers_[fd];
  if (!readable && !writable) {
    if (watcher) {
      watcher->stop();
      retired_.push_back(std::move(watcher));
    }
    watchers_.erase(fd);
    return;
  }
  if (!watcher) {
    watcher = std::make_unique<ev::io>(loop_);
    watcher->set<DnsResolver, &DnsResolver::on_event>(this);
  }
  watcher->stop();
  watcher->start(fd, (readable ? ev::READ : 0) | (writable ? ev::WRITE : 0));
}

void DnsResolver::on_event(ev::io& watcher, int events) noexcept {
  const int fd = watcher.fd;
  ::ares_process_fd(channel_, (events & ev::READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (events & ev::WRITE) != 0 ? fd : ARES_SOCKET_BAD);
  retired_.clear();
  arm_timer();
}

void DnsResolver::on_timer(ev::timer&, int) noexcept {
  ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  retired_.clear();
  arm_timer();
}

void DnsResolver::arm_timer() {
  timer_.stop();
  timeval left{};
  if (::ares_timeout(channel_, nullptr, &left) == nullptr) return;
  ev_now_update(loop_);
  timer_.start(static_cast<double>(left.tv_sec) + static_cast<double>(left.tv_usec) * 1e-6);
}

}  // namespace baton::proxy

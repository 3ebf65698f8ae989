#include "proxy/udp/session_opener.h"

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "proxy/config/fd_budget.h"
#include "proxy/upstream/hash_key.h"
#include "proxy/upstream/local_shortage.h"
#include "shared/os/error.h"
#include "shared/os/fd_limit.h"
#include "shared/os/log.h"

namespace baton::proxy::udp {
namespace {

constexpr std::chrono::seconds kLogInterval{1};

}  // namespace

SessionOpener::SessionOpener(const Options& options)
    : config_(options.config),
      store_(options.store),
      active_(options.active),
      stats_(options.stats),
      cluster_(options.cluster),
      fd_ceiling_(os::fd_limit() - std::min(os::fd_limit(), kFdReserve)) {}

std::expected<SessionOpener::Opened, Dropped> SessionOpener::open(const FlowKey& flow) {
  if (!take_place()) return std::unexpected(Dropped::MaxConnections);
  auto opened = connect(flow);
  if (!opened) close();
  return opened;
}

// Of several workers that do so at once each sees the others: the fence orders store before load on
// every side, so at most all of them step back, never one too many goes on.
bool SessionOpener::take_place() {
  stats_.connections_active.add();
  if (config_.max_connections == 0) return true;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (store_.sum(active_) <= config_.max_connections) return true;
  close();
  return false;
}

// Connecting a UDP socket sends nothing, so what can be known now is only whether a way leads
// there.
std::expected<SessionOpener::Opened, Dropped> SessionOpener::connect(const FlowKey& flow) {
  Opened opened{.circuit = cluster_.try_acquire(Circuit::Connections)};
  if (!opened.circuit) return std::unexpected(Dropped::CircuitBreaker);
  const auto hash =
      cluster_.needs_hash() ? std::optional(hash_of_client(flow.client_address())) : std::nullopt;
  std::vector<std::shared_ptr<const Endpoint>> failed;
  for (;;) {
    opened.endpoint = cluster_.pick({.hash = hash, .tried = failed});
    if (!opened.endpoint) return std::unexpected(Dropped::NoEndpoint);
    opened.upstream = connect_to(*opened.endpoint);
    if (opened.upstream) {
      cluster_.stats().connections_total.add();
      return opened;
    }
    const int error = errno;
    if (is_local_shortage(error, opened.endpoint->address)) {
      on_shortage(os::error_text(error));
      return std::unexpected(Dropped::Shortage);
    }
    cluster_.stats().connect_failures_total.add();
    cluster_.report(*opened.endpoint, Outcome::ConnectFailure);
    failed.push_back(std::move(opened.endpoint));
  }
}

os::UniqueFd SessionOpener::connect_to(const Endpoint& endpoint) {
  const os::SocketAddress& address = endpoint.address;
  os::UniqueFd fd(::socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fd;
  if (static_cast<std::uint64_t>(fd.get()) >= fd_ceiling_) {
    fd.reset();
    errno = EMFILE;
  } else if (::connect(fd.get(), address.data(), address.length()) != 0) {
    const int error = errno;
    fd.reset();
    errno = error;
  }
  return fd;
}

void SessionOpener::on_shortage(std::string_view what) {
  stats_.accept_errors_total.add();
  const auto now = std::chrono::steady_clock::now();
  if (now - last_logged_ < kLogInterval) return;
  last_logged_ = now;
  log::warning("listener {}: no session for a new client: {}", config_.name, what);
}

}  // namespace baton::proxy::udp

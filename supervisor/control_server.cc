#include "supervisor/control_server.h"

#include <grp.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <ranges>
#include <vector>

#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::supervisor {
namespace {

constexpr double kRetrySeconds = 0.5;
constexpr std::chrono::milliseconds kTimeToAsk{500};
// So many are told that there are too many.
constexpr std::size_t kMostRefused = 16;
constexpr std::string_view kBusy = "busy: too many commands are waiting for their answers";
constexpr std::string_view kNotPermitted =
    "not permitted: only root, the supervisor's own user and its control group";

bool is_open(const proto::Responder& request) { return request.request().has_value(); }

}  // namespace

// One connection. Its channel closes it; it is gone when the peer is.
class ControlServer::Client {
 public:
  // `refusal`: what every command is answered; empty: they are carried out.
  Client(ControlServer& server, os::UniqueFd socket, pid_t peer, std::string_view refusal)
      : server_(server),
        peer_(peer),
        channel_(server.loop_, std::move(socket), "command line"),
        patience_(server.loop_) {
    patience_.set<Client, &Client::on_idle>(this);
    patience_.start(os::seconds(kPatience));
    channel_.on_close([this](const std::string&) { server_.remove(this); });
    if (refusal.empty()) {
      serve();
    } else {
      refuse(refusal);
    }
  }

  // Waits for nothing. A command asks as soon as it is connected.
  bool is_idle() const {
    const auto silent = std::chrono::steady_clock::now() - heard_;
    if (patience_.is_active() && silent <= kTimeToAsk) return false;
    return channel_.queued_bytes() == 0 && std::ranges::none_of(requests_, is_open);
  }
  // When it has asked last; if never, connected.
  std::chrono::steady_clock::time_point heard() const { return heard_; }
  int quiet_fd() const { return channel_.queued_bytes() == 0 ? channel_.fd() : -1; }
  // No more patience is needed with one that has asked already.
  proto::Responder answer_to(std::uint16_t kind, std::uint32_t request) {
    patience_.stop();
    return requests_.emplace_back(channel_.answer_to(kind, request));
  }

 private:
  void on_idle() { server_.remove(this); }

  bool has_read_all() const {
    int unread = 0;
    if (::ioctl(channel_.fd(), SIOCOUTQ, &unread) != 0) unread = 0;
    return channel_.queued_bytes() == 0 && unread == 0;
  }

  // False: not to be dealt with.
  bool take(const proto::Responder& request) {
    if (!request.wanted()) return false;  // an event, of which there are none here
    if (has_read_all()) std::erase_if(requests_, std::not_fn(is_open));
    if (requests_.size() >= kMostRequests) {
      channel_.fail("asks on, and does not wait for the answers or read them");
      return false;
    }
    requests_.push_back(request);
    return true;
  }

  template <class Message, class Call>
  void on(proto::ControlKind kind, Call call) {
    channel_.handle<Message>(
        static_cast<std::uint16_t>(kind),
        [this, call](const Message& message, const proto::Fds&, const proto::Responder& responder) {
          if (!take(responder)) return;
          heard_ = std::chrono::steady_clock::now();
          patience_.stop();
          call(server_.handler_, message, responder);
        });
  }

  void serve() {
    using Handler = ControlHandler;
    using Responder = proto::Responder;
    on<proto::ReloadRequest>(proto::RELOAD, [](Handler& handler, const auto& request,
                                               const Responder& r) { handler.reload(request, r); });
    on<proto::ReloadRequest>(proto::ROLLBACK,
                             [](Handler& handler, const auto& request, const Responder& r) {
                               handler.rollback(request, r);
                             });
    on<proto::RetuneDrainRequest>(proto::RETUNE_DRAIN,
                                  [](Handler& handler, const auto& request, const Responder& r) {
                                    handler.retune_drain(request, r);
                                  });
    on<proto::StatusRequest>(proto::STATUS, [](Handler& handler, const auto&, const Responder& r) {
      handler.status(r);
    });
    on<proto::StatsRequest>(proto::STATS, [](Handler& handler, const auto& request,
                                             const Responder& r) { handler.stats(request, r); });
    on<proto::StopRequest>(proto::STOP, [](Handler& handler, const auto& request,
                                           const Responder& r) { handler.stop(request, r); });
    on<proto::Empty>(proto::REOPEN_LOGS, [](Handler& handler, const auto&, const Responder& r) {
      handler.reopen_logs(r);
    });
    on<proto::UpgradeRequest>(proto::UPGRADE,
                              [](Handler& handler, const auto& request, const Responder& r) {
                                handler.upgrade(request, r);
                              });
    // In any number of parts, sent at once; none but the last one's answer has a descriptor.
    channel_.handle<proto::ComeBack>(
        proto::COME_BACK,
        [this](const proto::ComeBack& request, proto::Fds fds, const Responder& responder) {
          server_.handler_.come_back(request, std::move(fds), peer_, responder);
        });
  }

  void refuse(std::string_view why) {
    for (int kind = proto::ControlKind_MIN + 1; kind <= proto::ControlKind_MAX; ++kind) {
      channel_.handle_raw(
          static_cast<std::uint16_t>(kind),
          [this, why](std::string_view, const proto::Fds&, const proto::Responder& r) {
            if (take(r)) r.fail(proto::ErrorReply::REFUSED, std::string(why));
          });
    }
  }

  ControlServer& server_;
  const pid_t peer_;
  std::chrono::steady_clock::time_point heard_ = std::chrono::steady_clock::now();
  proto::Channel channel_;
  std::vector<proto::Responder> requests_;  // that wait for their answers, or for being read
  ev::timer patience_;
};

ControlServer::ControlServer(ev::loop_ref loop, int listener, const std::string& group,
                             ControlHandler& handler)
    : loop_(loop), listener_(listener), handler_(handler), acceptable_(loop), retry_(loop) {
  if (const ::group* entry = group.empty() ? nullptr : ::getgrnam(group.c_str())) {
    group_ = entry->gr_gid;
  }
  acceptable_.set<ControlServer, &ControlServer::on_acceptable>(this);
  acceptable_.start(listener_, ev::READ);
  retry_.set<ControlServer, &ControlServer::on_retry>(this);
}

ControlServer::~ControlServer() = default;

void ControlServer::on_acceptable() {
  os::UniqueFd socket(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log::warning("cannot accept a command: {}", os::Error{errno, "accept", ""}.text());
      acceptable_.stop();
      retry_.start(kRetrySeconds);
    }
    return;
  }
  make_place();
  if (clients_.size() >= kMaxClients + kMostRefused) {
    log::warning("closed a connection for commands: {} others are open", clients_.size());
    return;
  }
  serve(std::move(socket));
}

std::vector<int> ControlServer::quiet_connections() const {
  std::vector<int> quiet;
  for (const auto& client : clients_) {
    if (const int fd = client->quiet_fd(); fd >= 0) quiet.push_back(fd);
  }
  return quiet;
}

std::optional<proto::Responder> ControlServer::adopt(os::UniqueFd socket, std::uint16_t kind,
                                                     std::uint32_t request) {
  if (!serve(std::move(socket)) || request == 0) return std::nullopt;
  return clients_.back()->answer_to(kind, request);
}

bool ControlServer::serve(os::UniqueFd socket) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  std::string_view refusal;
  if (clients_.size() >= kMaxClients) refusal = kBusy;
  if (!permitted(peer, socket.get())) refusal = kNotPermitted;
  clients_.push_back(std::make_unique<Client>(*this, std::move(socket), peer.pid, refusal));
  return true;
}

void ControlServer::make_place() {
  // Refused ones count until they have gone.
  while (clients_.size() >= kMaxClients) {
    auto idle = clients_ | std::views::filter([](const auto& client) { return client->is_idle(); });
    const auto silent =
        std::ranges::min_element(idle, {}, [](const auto& client) { return client->heard(); });
    if (silent == idle.end()) return;
    clients_.erase(silent.base());
  }
}

void ControlServer::on_retry() { acceptable_.start(listener_, ev::READ); }

void ControlServer::remove(const Client* client) {
  clients_.remove_if([client](const auto& each) { return each.get() == client; });
}

bool ControlServer::permitted(const ucred& peer, int socket) const {
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  if (!group_) return false;
  if (peer.gid == *group_) return true;
  std::vector<gid_t> groups(256);
  auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) return false;
  groups.resize(length / sizeof(gid_t));
  return std::ranges::find(groups, *group_) != groups.end();
}

}  // namespace baton::supervisor

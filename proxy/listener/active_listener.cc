#include "proxy/listener/active_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <utility>

#include "proxy/config/fd_budget.h"
#include "proxy/listener/stop_handshakes.h"
#include "proxy/worker/drain_state.h"
#include "proxy/worker/event_loop.h"
#include "shared/os/error.h"
#include "shared/os/fd_limit.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

using std::chrono::milliseconds;

// Fairness: connections that are open already have their turn after so many new ones.
constexpr int kAcceptBatch = 16;
constexpr milliseconds kLimitPause{5};
constexpr milliseconds kDoubtPause{1};
constexpr milliseconds kShortagePause{100};
constexpr std::chrono::seconds kLogInterval{1};
// How long handshakes that have begun may take to end in the queue of a socket that is to close.
constexpr milliseconds kHandshakeGrace{200};

}  // namespace

struct ActiveListener::Socket {
  Socket(ActiveListener& owner, int listening_fd)
      : listener(owner), fd(listening_fd), watcher(owner.loop_), grace(owner.loop_) {
    watcher.set<Socket, &Socket::on_ready>(this);
    grace.set<Socket, &Socket::on_grace_over>(this);
  }
  void on_ready(ev::io&, int) { listener.accept_from(*this); }
  void on_grace_over(ev::timer&, int) { empty_queue(); }
  void watch() {
    if (!watcher.is_active()) watcher.start(fd, ev::READ);
  }
  void empty_queue() {
    retiring = true;
    listener.accept_from(*this);
  }

  ActiveListener& listener;
  int fd;
  ev::io watcher;
  ev::timer grace;
  bool retiring = false;  // goes as soon as its queue is empty
  std::vector<Done> on_retired;
};

ActiveListener::ActiveListener(const Options& options)
    : loop_(options.loop),
      config_(options.filters.listener),
      store_(options.filters.stats),
      active_id_(options.metrics.connections_active),
      stats_(options.metrics, options.filters.lane),
      limit_(options.limit),
      held_(options.held),
      drain_(options.filters.drain),
      context_{.loop = options.loop,
               .scratch = options.scratch,
               .filters = {},
               .stats = stats_,
               .idle_timeout = config_.idle_timeout,
               .owner = *this},
      client_watch_(options.loop),
      pause_(options.loop),
      reaper_(options.loop),
      fd_ceiling_(os::fd_limit() - std::min(os::fd_limit(), kFdReserve)) {
  for (const auto& factory : config_.filters) filters_.push_back(factory->bind(options.filters));
  context_.filters = filters_;
  pause_.set<ActiveListener, &ActiveListener::resume>(this);
  reaper_.set<ActiveListener, &ActiveListener::reap>(this);
}

ActiveListener::~ActiveListener() {
  while (!sockets_.empty()) remove(*sockets_.back());
  cut_connections();
  closed_.clear_and_dispose([this](Session* session) { dispose(session); });
}

ActiveListener::Socket* ActiveListener::find(int fd) {
  const auto found = std::ranges::find(sockets_, fd, &Socket::fd);
  return found == sockets_.end() ? nullptr : found->get();
}

void ActiveListener::accept_on(int fd) {
  if (find(fd) != nullptr) return;
  Socket& socket = *sockets_.emplace_back(std::make_unique<Socket>(*this, fd));
  if (!pause_.is_active()) socket.watch();
}

void ActiveListener::release(int fd) {
  Socket* const socket = find(fd);
  if (socket != nullptr) remove(*socket);
}

void ActiveListener::remove(Socket& socket) {
  socket.watcher.stop();
  EventLoop::forget_fd(loop_, socket.fd);
  const std::vector<Done> retired = std::move(socket.on_retired);
  std::erase_if(sockets_, [&](const auto& each) { return each.get() == &socket; });
  for (const Done& done : retired) done();
}

void ActiveListener::retire(int fd, Done done) {
  accept_on(fd);
  Socket& socket = *find(fd);
  socket.on_retired.push_back(std::move(done));
  if (!stop_new_handshakes(fd)) return socket.empty_queue();
  socket.grace.start(os::seconds(kHandshakeGrace));
}

void ActiveListener::accept_from(Socket& socket) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    std::optional<ConnectionLimit::Look> look;
    if (config_.max_connections != 0) look.emplace(limit_);
    if (!may_accept(socket)) return on_limit(socket.fd, *look);
    const Accepted accepted = accept_one(socket.fd);
    if ((accepted == Accepted::One || accepted == Accepted::LastOne) && !socket.retiring) {
      at_limit_ = false;
      limit_.leave();
    }
    if (accepted == Accepted::One) continue;
    if (accepted == Accepted::LastOne) return pause(kShortagePause);
    forget_reservation();
    if (accepted == Accepted::Retry) continue;
    if (accepted == Accepted::Shortage) {
      pause(kShortagePause);
    } else if (socket.retiring) {
      remove(socket);
    }
    return;
  }
  // An empty queue raises no event, so whether it is empty now must be asked for.
  if (!socket.retiring) return;
  // This iteration ends with it: what has been written so far does not wait as long.
  EventLoop::send_queue(loop_).send_all();
  socket.watcher.feed_event(ev::READ);
}

// Takes a place in the gauge first and looks at the sum over all lanes after. Of several workers
// that do so at once each sees the others (the fence orders store before load on every side), so at
// most all of them step back, never one too many goes on.
bool ActiveListener::may_accept(const Socket& socket) {
  stats_.connections_active.add();
  if (config_.max_connections == 0 || socket.retiring) return true;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (store_.sum(active_id_) <= config_.max_connections) return true;
  forget_reservation();
  return false;
}

// An empty queue needs no second look: whoever comes raises an event. One client raises it on all
// workers that watch a unix socket, so near the limit they may all have stepped back.
void ActiveListener::on_limit(int fd, const ConnectionLimit::Look& look) {
  pollfd queue{.fd = fd, .events = POLLIN};
  if (::poll(&queue, 1, 0) != 1) return;
  at_limit_ = true;
  if (!look.was_alone() || limit_.counts_twice()) return pause(kDoubtPause);
  if (limit_.reach()) stats_.connections_limited_total.add();
  pause(kLimitPause);
}

void ActiveListener::forget_reservation() { stats_.connections_active.sub(); }

ActiveListener::Accepted ActiveListener::accept_one(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  os::UniqueFd connection(::accept4(fd, generic, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (connection.valid()) {
    at_fd_ceiling_ = static_cast<std::uint64_t>(connection.get()) >= fd_ceiling_;
    admit(std::move(connection), os::SocketAddress::from_sockaddr(generic, length));
    if (!at_fd_ceiling_) return Accepted::One;
    on_shortage("few open files are left");
    return Accepted::LastOne;
  }
  switch (const int error = errno; error) {
    case EAGAIN:
      return Accepted::QueueEmpty;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      on_shortage(os::error_text(error));
      return Accepted::Shortage;
    // The connection that was waiting has failed by itself, accept(2); the next one may be fine.
    default:
      return Accepted::Retry;
  }
}

void ActiveListener::admit(os::UniqueFd connection, const os::SocketAddress& client) {
  if (!client.is_unix()) {
    const int on = 1;
    ::setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  stats_.connections_total.add();
  stats_.held.add();
  held_.add();
  auto* const session = new Session(context_, std::move(connection), client);
  sessions_.push_back(*session);
  session->start();
}

void ActiveListener::on_shortage(std::string_view what) {
  stats_.accept_errors_total.add();
  const auto now = std::chrono::steady_clock::now();
  if (now - last_logged_ < kLogInterval) return;
  last_logged_ = now;
  log::warning("listener {}: accept: {}; pausing for {} ms", config_.name, what,
               kShortagePause.count());
}

void ActiveListener::pause(milliseconds time) {
  for (const auto& socket : sockets_) socket->watcher.stop();
  pause_.start(os::seconds(time));
}

void ActiveListener::resume() {
  // A worker that holds nothing would wait for descriptors that nobody gives back: it serves
  // clients one at a time, out of what is kept free, of which a half is left whatever other workers
  // do.
  const std::uint64_t ceiling = held_.count() == 0 ? fd_ceiling_ + kFdReserve / 2 : fd_ceiling_;
  at_fd_ceiling_ = at_fd_ceiling_ && os::next_fd() >= ceiling;
  if (at_fd_ceiling_) return pause(kShortagePause);
  pause_.stop();
  for (const auto& socket : sockets_) {
    socket->watch();
    if (socket->retiring) socket->watcher.feed_event(ev::READ);
  }
}

void ActiveListener::on_session_closed(Session& session) {
  client_watch_.remove(session);
  sessions_.erase(sessions_.iterator_to(session));
  closed_.push_back(session);
  reaper_.start();
}

void ActiveListener::on_session_boards(Session& session) {
  sessions_.splice(sessions_.begin(), sessions_, sessions_.iterator_to(session));
  if (drain_ != nullptr) drain_->board();
}

void ActiveListener::reap(ev::prepare&, int) {
  reaper_.stop();
  closed_.clear_and_dispose([this](Session* session) { dispose(session); });
  if (at_limit_) resume();
}

void ActiveListener::take_out(Session& session) {
  client_watch_.remove(session);
  sessions_.erase(sessions_.iterator_to(session));
}

void ActiveListener::put_back(Session& session) {
  sessions_.push_back(session);
  session.thaw();
}

void ActiveListener::has_moved(Session& session) {
  delete &session;
  stats_.connections_active.sub();
  stats_.held.sub();
  held_.remove();
}

void ActiveListener::let_go_on(Session& session) {
  sessions_.splice(sessions_.end(), sessions_, sessions_.iterator_to(session));
  session.go_on();
}

std::unique_ptr<Session> ActiveListener::restore(TunnelState state, const MoveDetails& details) {
  auto session = std::make_unique<Session>(context_, std::move(state));
  if (!session->restore(details)) return nullptr;
  // Until the commit both generations count it: a moment in which neither does would let others in
  // beyond max_connections.
  stats_.connections_active.add();
  limit_.arrives();
  held_.add();
  return session;
}

// Beyond max_connections, too: it was within the limit when it came.
void ActiveListener::admit_moved(std::unique_ptr<Session> session) {
  limit_.has_arrived();
  stats_.held.add();
  Session& admitted = *session.release();
  sessions_.push_back(admitted);
  admitted.thaw();
}

void ActiveListener::forget_moved(std::unique_ptr<Session> session) {
  session.reset();
  stats_.connections_active.sub();
  limit_.has_arrived();
  held_.remove();
}

// The one place where a connection dies that does not move.
void ActiveListener::dispose(Session* session) {
  const auto lasted = std::chrono::steady_clock::now() - session->state().accepted;
  stats_.duration_microseconds.record(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(lasted).count()));
  delete session;
  stats_.connections_active.sub();
  stats_.held.sub();
  held_.remove();
}

void ActiveListener::cut_connections() {
  // A session that closes leaves the list.
  for (auto next = sessions_.begin(); next != sessions_.end();) (next++)->cut();
}

}  // namespace baton::proxy

#include "proxy/udp/udp_listener.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "shared/os/log.h"

namespace baton::proxy::udp {
namespace {

// Of one socket before others have their turn, if it always has more.
constexpr int kBatchesInARow = 4;

}  // namespace

UdpListener::UdpListener(const Options& options)
    : loop_(options.loop),
      name_(options.config.name),
      batch_(options.batch),
      stats_(options.metrics, options.lane),
      datagrams_(UdpMetrics::resolve(options.stats, options.config.name), options.lane),
      held_(options.held),
      idle_(options.loop, *options.config.idle_timeout),
      drain_idle_(options.loop, std::min(*options.config.idle_timeout, kDrainIdle)),
      context_{.loop = options.loop,
               .batch = options.batch,
               .cluster = options.cluster,
               .stats = stats_,
               .datagrams = datagrams_,
               .idle = &idle_,
               .owner = *this},
      opener_({.config = options.config,
               .store = options.stats,
               .active = options.metrics.connections_active,
               .stats = stats_,
               .cluster = options.cluster}) {}

UdpListener::~UdpListener() {
  cut_connections();
  while (!sockets_.empty()) remove(*sockets_.back());
}

// --- sockets -----------------------------------------------------------------------------------

SharedSocket* UdpListener::find(int fd) {
  const auto found = std::ranges::find(sockets_, fd, &SharedSocket::lent);
  return found == sockets_.end() ? nullptr : found->get();
}

void UdpListener::accept_on(int fd) {
  SharedSocket* socket = find(fd);
  if (socket == nullptr) {
    os::UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) {
      // Counted beforehand (fd_budget.h), and clients leave some free: somebody else took them.
      log::error("listener {}: a socket is not served: {}", name_,
                 os::errno_error("dup").error().text());
      return;
    }
    socket = sockets_
                 .emplace_back(std::make_unique<SharedSocket>(
                     loop_, static_cast<SharedSocket::Owner&>(*this), fd, std::move(copy)))
                 .get();
  }
  socket->wanted = true;
  if (!holding_) socket->watch();
}

void UdpListener::count_held() {
  for (const auto& socket : sockets_) {
    if (socket->wanted) socket->begin_to_count();
  }
}

void UdpListener::yield() {
  holding_ = yielded_ = true;
  for (const auto& socket : sockets_) {
    if (!socket->watched() || !socket->on_retired.empty()) continue;
    datagrams_.drop(Dropped::ReceiveQueue, socket->take_overflow());
    socket->forget();
  }
}

void UdpListener::read() {
  yielded_ = false;
  if (!std::exchange(holding_, false)) return;
  for (const auto& socket : sockets_) {
    if (socket->wanted) socket->watch();
  }
}

void UdpListener::release(int fd) {
  if (SharedSocket* const socket = find(fd)) forget(*socket);
}

void UdpListener::retire(int fd, Done done) {
  accept_on(fd);
  SharedSocket* const socket = find(fd);
  if (socket == nullptr) return done();
  socket->on_retired.push_back(std::move(done));
  // First, so that the queue ends somewhere.
  socket->shut_out();
  on_readable(*socket);
}

// Not read any more; sessions that reply through it keep it.
void UdpListener::forget(SharedSocket& socket) {
  if (socket.watched()) datagrams_.drop(Dropped::ReceiveQueue, socket.take_overflow());
  socket.forget();
  socket.wanted = false;
  const std::vector<Done> retired = std::exchange(socket.on_retired, {});
  if (socket.uses() == 0) remove(socket);
  for (const Done& done : retired) done();
}

void UdpListener::on_unused(SharedSocket& socket) {
  if (!socket.wanted) remove(socket);
}

void UdpListener::remove(SharedSocket& socket) {
  std::erase_if(sockets_, [&](const auto& each) { return each.get() == &socket; });
}

// --- datagrams ---------------------------------------------------------------------------------

void UdpListener::on_readable(SharedSocket& socket) {
  for (int i = 0; i < kBatchesInARow; ++i) {
    const std::size_t count = batch_.receive(socket.fd(), DatagramBatch::Source::Clients);
    if (count == 0) {
      if (errno == EAGAIN && !socket.on_retired.empty()) forget(socket);
      return;
    }
    deliver(socket, count);
    // Where the queue was full, full batches follow.
    if (count == DatagramBatch::kMost) {
      datagrams_.drop(Dropped::ReceiveQueue, socket.take_overflow());
    } else if (socket.on_retired.empty()) {
      return;
    }
  }
  // An empty queue raises no event, so whether it is empty now must be asked for.
  if (socket.on_retired.empty()) return;
  EventLoop::send_queue(loop_).send_all();  // this iteration ends with it
  socket.look_again();
}

void UdpListener::deliver(SharedSocket& socket, std::size_t count) {
  datagrams_.received_total.add(count);
  for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
    std::uint64_t bytes = 0;
    do {
      bytes += batch_.size(end++);
    } while (end < count && batch_.flow(end) == batch_.flow(begin));
    stats_.bytes.received.add(bytes);
    forward(socket, begin, end);
  }
}

// An endpoint may turn out to be gone only when the next datagram is sent. That one then gets
// another try with a session of its own, which asks for an endpoint anew; but only one, since
// nothing is known of that endpoint before it has been sent something.
void UdpListener::forward(SharedSocket& socket, std::size_t begin, std::size_t end) {
  Session* session = sessions_.find(batch_.flow(begin));
  for (int tries = session != nullptr ? 2 : 1; tries > 0 && begin < end; --tries) {
    if (session == nullptr) session = open(socket, begin, end);
    if (session == nullptr) return;
    session->reply_through(socket);
    begin = session->forward(begin, end);
    if (begin < end) on_failed(*std::exchange(session, nullptr));
  }
  if (begin < end) datagrams_.drop(Dropped::ToUpstream, end - begin);
}

// --- sessions ----------------------------------------------------------------------------------

Session* UdpListener::open(SharedSocket& socket, std::size_t begin, std::size_t end) {
  auto opened = opener_.open(batch_.flow(begin));
  if (!opened) {
    datagrams_.drop(opened.error(), end - begin);
    return nullptr;
  }
  auto* const session = new Session(context_,
                                    {.flow = batch_.flow(begin),
                                     .upstream = std::move(opened->upstream),
                                     .endpoint = std::move(opened->endpoint),
                                     .opened = std::chrono::steady_clock::now()},
                                    std::move(opened->circuit), socket, nullptr);
  sessions_.insert(*session);
  stats_.connections_total.add();
  stats_.held.add();
  held_.add();
  return session;
}

void UdpListener::on_failed(Session& session) {
  const SessionState& state = session.state();
  context_.cluster.stats().connect_failures_total.add();
  context_.cluster.report(*state.endpoint, Outcome::ConnectFailure);
  close(session);
}

// The one place where a session ends that does not move.
void UdpListener::close(Session& session) {
  const auto lasted = std::chrono::steady_clock::now() - session.state().opened;
  stats_.duration_microseconds.record(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(lasted).count()));
  if (session.on_loan()) session.lender()->on_ended(name_, session.flow());
  forget(session);
}

void UdpListener::forget(Session& session) {
  const bool counted = !session.on_loan();
  sessions_.erase(session);
  delete &session;
  if (counted) give_up_place();
}

void UdpListener::give_up_place() {
  opener_.close();
  stats_.held.sub();
  held_.remove();
}

void UdpListener::drain() {
  if (!yielded_) read();
  if (std::exchange(context_.idle, &drain_idle_) == &drain_idle_) return;
  sessions_.for_each([](Session& session) { session.touch(); });
}

void UdpListener::cut_connections() {
  sessions_.for_each([this](Session& session) {
    if (session.on_loan()) return forget(session);
    stats_.connections_cut_total.add();
    close(session);
  });
}

// --- sessions on their way ---------------------------------------------------------------------

void UdpListener::take_back(const FlowKey& flow, bool was_lent) {
  Session* const session = sessions_.find(flow);
  if (session == nullptr || !session->frozen()) return;
  session->thaw();
  if (was_lent || context_.idle == &drain_idle_) session->touch();
}

std::unique_ptr<Session> UdpListener::has_moved(Session& session) {
  sessions_.erase(session);
  give_up_place();
  return std::unique_ptr<Session>(&session);
}

void UdpListener::ended_on_loan(const FlowKey& flow) {
  Session* const session = sessions_.find(flow);
  if (session != nullptr && session->frozen()) forget(*session);
}

UdpListener::Borrowed UdpListener::borrow(SessionState state, const os::SocketAddress& endpoint,
                                          std::uint64_t socket, Session::Lender& lender) {
  const auto through = std::ranges::find(sockets_, socket, &SharedSocket::cookie);
  if (through == sockets_.end()) return Borrowed::NoSocket;
  if (sessions_.find(state.flow) != nullptr) return Borrowed::Duplicate;
  // As with connections: an endpoint that has left its cluster keeps what it has.
  state.endpoint = context_.cluster.find(endpoint);
  if (!state.endpoint) {
    state.endpoint = std::make_shared<const Endpoint>(Endpoint{.address = endpoint});
  }
  auto* const session =
      new Session(context_, std::move(state), context_.cluster.acquire(Circuit::Connections),
                  **through, &lender);
  sessions_.insert(*session);
  return Borrowed::Yes;
}

// Beyond max_connections, too: it was within the limit when it came.
bool UdpListener::keep(const FlowKey& flow) {
  Session* const session = sessions_.find(flow);
  if (session == nullptr || !session->on_loan()) return false;
  session->keep();
  stats_.connections_active.add();
  stats_.held.add();
  held_.add();
  return true;
}

void UdpListener::give_back(const FlowKey& flow) {
  Session* const session = sessions_.find(flow);
  if (session != nullptr && session->on_loan()) forget(*session);
}

}  // namespace baton::proxy::udp

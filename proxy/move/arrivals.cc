#include "proxy/move/arrivals.h"

#include <algorithm>
#include <utility>

#include "proxy/config/fd_budget.h"
#include "proxy/move/connection_record.h"
#include "proxy/move/idle_upstream_record.h"
#include "proxy/worker/event_loop.h"
#include "shared/os/fd_limit.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

const std::string& name_of(const std::unique_ptr<ActiveListener>& listener) {
  return listener->config().name;
}

bool is_wildcard_of(const os::SocketAddress& any, const os::SocketAddress& address) {
  return any.is_any() && any.family() == address.family() && any.port() == address.port();
}

}  // namespace

Arrivals::Arrivals(Options options)
    : options_(std::move(options)),
      fd_ceiling_(os::fd_limit() - std::min(os::fd_limit(), kFdReserve)),
      death_(options_.loop),
      patience_(options_.loop),
      channel_(options_.loop, std::move(options_.channel), "old generation's worker") {
  death_.set<Arrivals, &Arrivals::on_death>(this);
  patience_.set<Arrivals, &Arrivals::on_still_alive>(this);
  channel_.handle<proto::MoveBatch>(
      proto::MOVE_PREPARE,
      [this](const proto::MoveBatch& batch, proto::Fds fds, const proto::Responder& answer) {
        if (refusing_) return answer.fail(proto::ErrorReply::REFUSED, "it is leaving");
        if (is_open(batch.id())) return channel_.fail("offers a batch twice");
        const proto::MoveVerdicts verdicts = prepare(batch, std::move(fds));
        options_.hooks.reached(MovePoint::Prepared);
        answer.reply(verdicts);
        options_.hooks.reached(MovePoint::Answered);
      });
  channel_.handle<proto::MoveDecision>(proto::MOVE_COMMIT,
                                       [this](const proto::MoveDecision& decision, proto::Fds,
                                              const proto::Responder&) { commit(decision.id()); });
  channel_.handle<proto::MoveDecision>(proto::MOVE_ABORT,
                                       [this](const proto::MoveDecision& decision, proto::Fds,
                                              const proto::Responder&) { abort(decision.id()); });
  channel_.on_close([this](const std::string&) { on_close(); });
}

Arrivals::~Arrivals() { stop_waiting(); }

// Has something that only a commit or an abort settles.
bool Arrivals::is_open(std::uint64_t batch) const {
  const auto offered = offered_.find(batch);
  return offered != offered_.end() && !offered->second.empty();
}

proto::MoveVerdicts Arrivals::prepare(const proto::MoveBatch& batch, proto::Fds fds) {
  proto::MoveVerdicts verdicts;
  Batch prepared;
  std::span<os::UniqueFd> rest(fds);
  for (const proto::ConnectionRecord& record : batch.connections()) {
    const std::size_t count = descriptors_of(record);
    // Behind one that does not say it, nobody knows which descriptors are whose.
    const bool known = count > 0 && count <= rest.size();
    verdicts.add_verdicts(known ? prepare_one(record, rest.first(count), prepared)
                                : proto::MOVE_UNKNOWN_KIND);
    rest = known ? rest.subspan(count) : rest.first(0);
  }
  offered_[batch.id()] = std::move(prepared);
  return verdicts;
}

proto::MoveVerdict Arrivals::prepare_one(const proto::ConnectionRecord& record,
                                         std::span<os::UniqueFd> fds, Batch& batch) {
  const bool known = options_.hooks.knows(record.kind());
  if (!known || fds.size() != descriptors_of(record.kind())) return proto::MOVE_UNKNOWN_KIND;
  if (static_cast<std::uint64_t>(fds.back().get()) >= fd_ceiling_) {
    return proto::MOVE_NO_DESCRIPTORS;
  }
  if (record.kind() == proto::IDLE_UPSTREAM) {
    return prepare_upstream(record, std::move(fds.front()), batch);
  }
  auto read = read_record(record, fds);
  if (!read) return read.error();
  ActiveListener* const listener =
      listener_of(record, read->details.kind, read->state.downstream.fd.get());
  if (listener == nullptr) return proto::MOVE_NO_LISTENER;
  auto session = listener->restore(std::move(read->state), read->details);
  if (!session) return proto::MOVE_NO_LISTENER;
  batch.guests.push_back({listener, std::move(session)});
  return proto::MOVE_ACCEPTED;
}

proto::MoveVerdict Arrivals::prepare_upstream(const proto::ConnectionRecord& record,
                                              os::UniqueFd socket, Batch& batch) const {
  auto read = read_idle_upstream(record, std::move(socket));
  if (!read) return read.error();
  http::UpstreamPool* const pool = options_.http.find_pool(record.cluster());
  if (pool == nullptr) return proto::MOVE_NOT_WANTED;
  auto connection =
      pool->restore(std::move(read->leg), read->endpoint, record.requests(), read->keep);
  if (!connection) return proto::MOVE_NOT_WANTED;
  batch.upstreams.push_back({pool, std::move(connection)});
  return proto::MOVE_ACCEPTED;
}

// Null: it is gone, speaks another protocol now, or has left the address that the client has
// connected to to another listener: that one's filters and routes are not this connection's.
ActiveListener* Arrivals::listener_of(const proto::ConnectionRecord& record, MoveKind kind,
                                      int socket) const {
  const auto named = std::ranges::find(options_.listeners, record.listener(), &name_of);
  if (named == options_.listeners.end()) return nullptr;
  const bool speaks_http = (*named)->config().http != nullptr;
  if (speaks_http != (kind != MoveKind::TcpTunnel)) return nullptr;
  const auto local = os::SocketAddress::of_socket(socket);
  if (!local) return named->get();
  const auto is_exact = [&](const auto& each) { return each->config().address == *local; };
  const auto is_wide = [&](const auto& each) {
    return is_wildcard_of(each->config().address, *local);
  };
  auto serving = std::ranges::find_if(options_.listeners, is_exact);
  if (serving == options_.listeners.end()) {
    serving = std::ranges::find_if(options_.listeners, is_wide);
  }
  const bool is_anothers = serving != options_.listeners.end() && serving != named;
  return is_anothers ? nullptr : named->get();
}

void Arrivals::commit(std::uint64_t batch) {
  auto prepared = offered_.extract(batch);
  if (prepared.empty()) return channel_.fail("commits a batch that was not prepared");
  start(prepared.mapped());
  options_.hooks.reached(MovePoint::Started);
}

void Arrivals::start(Batch& batch) {
  for (GuestUpstream& each : batch.upstreams) each.pool->admit_moved(std::move(each.connection));
  options_.counters.moved_in(batch.guests.size());
  for (Guest& guest : batch.guests) guest.listener->admit_moved(std::move(guest.session));
}

void Arrivals::abort(std::uint64_t batch) {
  auto prepared = offered_.extract(batch);
  if (prepared.empty()) return;
  for (Guest& guest : prepared.mapped().guests)
    guest.listener->forget_moved(std::move(guest.session));
}

void Arrivals::abort_all() {
  while (!offered_.empty()) abort(offered_.begin()->first);
}

// What was accepted and not committed is old's as long as old lives. Old keeps its end open until
// everything is settled, so it is either dying, or does not believe what it has received.
void Arrivals::on_close() {
  std::erase_if(offered_, [](const auto& entry) { return entry.second.empty(); });
  if (offered_.empty() || !channel_.closed_by_peer() || !options_.old_process.valid()) {
    abort_all();
    return options_.over(*this);
  }
  death_.start(options_.old_process.get(), ev::READ);
  patience_.start(os::seconds(kDeathTime));
}

void Arrivals::on_death() {
  stop_waiting();
  log::info("the old generation has died: going on with what it had offered");
  for (auto& [id, batch] : offered_) start(batch);
  offered_.clear();
  options_.over(*this);
}

void Arrivals::on_still_alive() {
  stop_waiting();
  abort_all();
  options_.over(*this);
}

// Closing the descriptor is no end of its registration: others of this process watch the same
// death.
void Arrivals::stop_waiting() {
  patience_.stop();
  if (!death_.is_active()) return;
  death_.stop();
  EventLoop::forget_fd(options_.loop, options_.old_process.get());
}

}  // namespace baton::proxy

#include "proxy/move/session_borrower.h"

#include <algorithm>
#include <utility>

#include "proxy/config/fd_budget.h"
#include "proxy/move/session_record.h"
#include "shared/os/fd_limit.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

proto::MoveVerdict verdict_of(udp::UdpListener::Borrowed borrowed) {
  switch (borrowed) {
    case udp::UdpListener::Borrowed::Yes:
      return proto::MOVE_ACCEPTED;
    case udp::UdpListener::Borrowed::NoSocket:
      return proto::MOVE_NO_LISTENER;
    case udp::UdpListener::Borrowed::Duplicate:
      return proto::MOVE_DUPLICATE;
  }
  return proto::MOVE_MALFORMED;
}

}  // namespace

SessionBorrower::SessionBorrower(Options options)
    : options_(std::move(options)),
      fd_ceiling_(os::fd_limit() - std::min(os::fd_limit(), kFdReserve)),
      report_(options_.loop),
      patience_(options_.loop),
      channel_(options_.loop, std::move(options_.channel), "old generation's worker") {
  using proto::Fds;
  using proto::Responder;
  for (const auto& listener : options_.listeners) listener->count_held();
  report_.set<SessionBorrower, &SessionBorrower::report_ended>(this);
  patience_.set<SessionBorrower, &SessionBorrower::settle>(this);
  patience_.start(os::seconds(kPatience));
  channel_.handle<proto::SessionBatch>(
      proto::SESSIONS_LEND,
      [this](const proto::SessionBatch& batch, Fds fds, const Responder& answer) {
        if (static_cast<std::size_t>(batch.sessions_size()) != fds.size()) {
          return channel_.fail("lends sessions without their descriptors");
        }
        const proto::MoveVerdicts verdicts = borrow(batch, fds);
        options_.hooks.reached(MovePoint::Prepared);
        answer.reply(verdicts);
        options_.hooks.reached(MovePoint::Answered);
      });
  const auto on = [this](proto::MoveKindOfMessage kind, void (SessionBorrower::*act)()) {
    channel_.handle<proto::SessionsEvent>(
        kind, [this, act](const proto::SessionsEvent&, Fds, const Responder&) { (this->*act)(); });
  };
  on(proto::SESSIONS_LENT, &SessionBorrower::settle);
  on(proto::SESSIONS_COMMIT, &SessionBorrower::keep);
  channel_.handle<proto::SessionsEvent>(
      proto::SESSIONS_RETURN,
      [this](const proto::SessionsEvent& event, Fds, const Responder&) { give_back(event); });
  channel_.on_close([this](const std::string&) {
    keep();
    settle();
  });
}

proto::MoveVerdicts SessionBorrower::borrow(const proto::SessionBatch& batch,
                                            std::span<os::UniqueFd> fds) {
  proto::MoveVerdicts verdicts;
  for (int i = 0; i < batch.sessions_size(); ++i) {
    verdicts.add_verdicts(
        borrow_one(batch.sessions(i), std::move(fds[static_cast<std::size_t>(i)])));
  }
  return verdicts;
}

proto::MoveVerdict SessionBorrower::borrow_one(const proto::SessionRecord& record,
                                               os::UniqueFd fd) {
  if (static_cast<std::uint64_t>(fd.get()) >= fd_ceiling_) return proto::MOVE_NO_DESCRIPTORS;
  auto read = read_record(record, std::move(fd));
  if (!read) return read.error();
  const auto found = std::ranges::find_if(options_.listeners, [&](const auto& listener) {
    return listener->name() == record.listener();
  });
  if (found == options_.listeners.end()) return proto::MOVE_NO_LISTENER;
  udp::UdpListener& listener = **found;
  if (listener.cluster() != record.cluster()) return proto::MOVE_NO_CLUSTER;
  const udp::FlowKey flow = read->state.flow;
  const auto borrowed =
      listener.borrow(std::move(read->state), read->endpoint, record.socket(), *this);
  if (borrowed == udp::UdpListener::Borrowed::Yes) loans_.push_back({&listener, flow});
  return verdict_of(borrowed);
}

void SessionBorrower::keep() {
  const std::vector<Loan> loans = std::exchange(loans_, {});
  options_.counters.moved_in(static_cast<std::uint64_t>(std::ranges::count_if(
      loans, [](const Loan& loan) { return loan.listener->keep(loan.flow); })));
  if (!loans.empty()) options_.hooks.reached(MovePoint::Started);
}

void SessionBorrower::give_back(const proto::SessionsEvent& event) {
  for (const Loan& loan : std::exchange(loans_, {})) loan.listener->give_back(loan.flow);
  settle();
  if (event.reads()) options_.yield();
}

// As a rule many at a time: their timeouts are looked at together.
void SessionBorrower::on_ended(const std::string& listener, const udp::FlowKey& flow) {
  proto::SessionRecord& record = *ended_.add_sessions();
  record.set_listener(listener);
  write_flow(flow, record);
  if (!report_.is_active()) report_.start(0);
}

void SessionBorrower::report_ended() {
  channel_.notify(proto::SESSIONS_ENDED, ended_);
  ended_.Clear();
}

void SessionBorrower::settle() {
  patience_.stop();
  if (options_.settled) std::exchange(options_.settled, nullptr)();
}

}  // namespace baton::proxy

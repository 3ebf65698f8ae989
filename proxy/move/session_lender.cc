#include "proxy/move/session_lender.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "proxy/move/session_record.h"
#include "shared/os/log.h"

namespace baton::proxy {
namespace {

// After one for which there were no descriptors. Clients' datagrams wait meanwhile.
constexpr ev::tstamp kShortageSeconds = 0.01;

}  // namespace

SessionLender::SessionLender(Options options)
    : listeners_(options.listeners),
      counters_(options.counters),
      hooks_(options.hooks),
      ended_(std::move(options.ended)),
      next_(options.loop),
      channel_(options.loop, std::move(options.channel), "next generation's worker") {
  next_.set<SessionLender, &SessionLender::offer_next>(this);
  channel_.on_close([this](const std::string&) { end(); });
  // Sessions do not stand still for it.
  channel_.give_up_when_crowded();
  channel_.set_last_words(proto::SESSIONS_RETURN, proto::SessionsEvent());
  channel_.handle<proto::SessionBatch>(proto::SESSIONS_ENDED,
                                       [this](const proto::SessionBatch& batch, const proto::Fds&,
                                              const proto::Responder&) { on_ended(batch); });
  find_sessions(options.sockets);
  next_.start(0);
}

// By their flows, since they may end before it is their turn. Those that are used least come first,
// which is the order in which the other side's timeouts are quick to arm.
void SessionLender::find_sessions(const std::vector<int>& sockets) {
  std::vector<std::pair<CoarseClock::time_point, Loan>> found;
  for (const auto& listener : listeners_) {
    listener->sessions().for_each([&](udp::Session& session) {
      if (session.on_loan() ||
          std::ranges::find(sockets, session.replies_through().lent()) == sockets.end()) {
        return;
      }
      found.push_back({session.state().last_activity, {listener.get(), session.flow()}});
    });
  }
  std::ranges::sort(found, std::greater(), [](const auto& each) { return each.first; });
  left_.reserve(found.size());
  std::ranges::transform(found, std::back_inserter(left_),
                         [](const auto& each) { return each.second; });
}

void SessionLender::offer_next() {
  if (over_ || !offered_.empty()) return;
  proto::SessionBatch batch;
  std::vector<int> fds;
  while (!left_.empty() && offered_.size() < batch_size_) {
    if (freeze(left_.back(), batch, fds)) offered_.push_back(left_.back());
    left_.pop_back();
  }
  if (offered_.empty()) {
    all_offered_ = true;
    channel_.notify(proto::SESSIONS_LENT, proto::SessionsEvent());
    if (committed_) hand_over();
    return;
  }
  channel_.request<proto::MoveVerdicts>(
      proto::SESSIONS_LEND, batch, fds, kAnswerTime,
      [this](const Answer& answer, const proto::Fds&) { on_answer(answer); });
  hooks_.reached(MovePoint::Offered);
}

// False: it is gone.
bool SessionLender::freeze(const Loan& loan, proto::SessionBatch& batch, std::vector<int>& fds) {
  udp::Session* const session = loan.listener->sessions().find(loan.flow);
  if (session == nullptr) return false;
  session->freeze();
  proto::SessionRecord& record = *batch.add_sessions();
  record.set_listener(loan.listener->name());
  record.set_cluster(loan.listener->cluster());
  write_record(session->state(), session->replies_through().cookie(), record);
  fds.push_back(session->state().upstream.get());
  return true;
}

void SessionLender::on_answer(const Answer& answer) {
  if (over_) return;
  if (!answer) return on_failure(answer.error());
  if (static_cast<std::size_t>(answer->verdicts_size()) != offered_.size()) {
    return on_failure({proto::CallError::Code::Malformed, "malformed verdicts"});
  }
  settle(*answer);
  batch_size_ = std::min(2 * batch_size_, kLargestBatch);
  next_.start(0);
}

// Failed: their descriptors have not arrived, or could not be sent. Fewer may find room, or these
// later; one for which there is none by itself stays.
void SessionLender::on_failure(const proto::CallError& error) {
  log::warning("{} sessions are not taken over: {}", offered_.size(), error.text);
  if (error.code != proto::CallError::Code::Failed) return end();
  counters_.returned(offered_.size());
  if (offered_.size() > 1) left_.insert(left_.end(), offered_.rbegin(), offered_.rend());
  batch_size_ = std::max(offered_.size() / 2, std::size_t{1});
  take_back(offered_, false);
  next_.start(kShortageSeconds);
}

void SessionLender::settle(const proto::MoveVerdicts& verdicts) {
  hooks_.reached(MovePoint::Accepted);
  std::vector<Loan> refused;
  for (std::size_t i = 0; i < offered_.size(); ++i) {
    const proto::MoveVerdict verdict = verdicts.verdicts(static_cast<int>(i));
    if (verdict == proto::MOVE_ACCEPTED) {
      lent_.push_back(offered_[i]);
    } else {
      rejected_.push_back(verdict);
      refused.push_back(offered_[i]);
    }
  }
  offered_.clear();
  take_back(refused, false);
}

void SessionLender::on_ended(const proto::SessionBatch& batch) {
  for (const proto::SessionRecord& record : batch.sessions()) {
    const auto flow = read_flow(record);
    const auto listener = std::ranges::find_if(
        listeners_, [&](const auto& each) { return each->name() == record.listener(); });
    if (!flow || listener == listeners_.end()) return channel_.fail("ends what was not lent");
    (*listener)->ended_on_loan(*flow);
  }
}

void SessionLender::commit() {
  committed_ = true;
  if (all_offered_ && !over_) hand_over();
}

void SessionLender::hand_over() {
  if (!channel_.notify(proto::SESSIONS_COMMIT, proto::SessionsEvent())) return end();
  channel_.clear_last_words();
  over_ = true;
  // All give up their places before the first socket is closed, which takes longer: new counts them
  // by now, and turns away clients for whom both together leave no room.
  std::vector<std::unique_ptr<udp::Session>> moved;
  moved.reserve(lent_.size());
  for (const Loan& loan : std::exchange(lent_, {})) {
    udp::Session* const session = loan.listener->sessions().find(loan.flow);
    if (session == nullptr || !session->frozen()) continue;
    moved.push_back(loan.listener->has_moved(*session));
  }
  counters_.moved_out(moved.size());
  moved.clear();
  for (const proto::MoveVerdict reason : rejected_) counters_.rejected(reason);
  hooks_.reached(MovePoint::Committed);
  if (ended_) ended_();
}

void SessionLender::end(bool reads) {
  if (std::exchange(over_, true)) return;
  next_.stop();
  proto::SessionsEvent event;
  event.set_reads(reads);
  if (channel_.open()) channel_.notify(proto::SESSIONS_RETURN, event);
  if (committed_) counters_.returned(offered_.size() + lent_.size());
  take_back(offered_, true);  // new may have taken them, without our reading it
  take_back(lent_, true);
  if (ended_) ended_();
}

void SessionLender::take_back(std::vector<Loan>& loans, bool were_lent) {
  for (const Loan& loan : std::exchange(loans, {})) {
    loan.listener->take_back(loan.flow, were_lent);
  }
}

}  // namespace baton::proxy

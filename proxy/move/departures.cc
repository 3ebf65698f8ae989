#include "proxy/move/departures.h"

#include <algorithm>
#include <utility>

#include "proxy/move/connection_record.h"
#include "proxy/move/idle_upstream_record.h"
#include "proxy/upstream/cluster.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

// How often those are looked at again that could not move.
constexpr std::chrono::milliseconds kLookAgain{20};
// How often one is offered for which there were no descriptors.
constexpr ev::tstamp kShortageSeconds = 1;
// The most that lies between two batches of which neither is answered, though new lives.
constexpr ev::tstamp kLongestPauseSeconds = 60;
constexpr std::chrono::milliseconds kNoDeadline{0};

std::size_t sessions_of(const Departures::Listeners& listeners) {
  std::size_t count = 0;
  for (const auto& listener : listeners) count += listener->sessions().size();
  return count;
}

std::size_t idle_upstreams_of(http::HttpWorker& http) {
  std::size_t count = 0;
  http.for_each_pool([&](const http::UpstreamPool& pool) { count += pool.idle(); });
  return count;
}

// The most of `all` in one slice, so that each of so many counterparts gets some of them.
std::size_t share_of(std::size_t all, std::size_t counterparts) {
  const std::size_t fair = (all + counterparts - 1) / counterparts;
  return std::clamp<std::size_t>(fair, 1, Departures::kLargestBatch);
}

}  // namespace

Departures::Departures(Options options)
    : listeners_(options.listeners),
      http_(options.http),
      counters_(options.counters),
      drain_(options.drain),
      hooks_(options.hooks),
      settled_(std::move(options.settled)),
      next_(options.loop),
      prompt_(options.loop),
      last_time_(options.loop) {
  next_.set<Departures, &Departures::pass>(this);
  prompt_.set<Departures, &Departures::on_slow_answer>(this);
  last_time_.set<Departures, &Departures::finished>(this);
  for (os::UniqueFd& end_here : options.channels) {
    proto::Channel& channel =
        channels_.emplace_back(options.loop, std::move(end_here), "next generation's worker");
    channel.on_close([this](const std::string&) { end(); });
    // Connections do not stand still for it.
    channel.give_up_when_crowded();
  }
  drain_.on_boarding([this] { on_boarding(); });
  set_moving(Moving::Now);
  next_.start(0);
}

// The process ends, and with it what is still offered: new sees that, and goes on with it.
Departures::~Departures() {
  if (!retired_) drain_.on_boarding(nullptr);
  for (const Traveller& traveller : travellers_) delete traveller.session;
}

void Departures::retire() {
  over_ = retired_ = true;
  next_.stop();
  prompt_.stop();
  finished();
  if (!waiting()) settled_(*this);
}

void Departures::finish(std::function<void()> done) {
  finished();
  if (over_ || asks_for_life_) return done();
  finished_ = std::move(done);
  looking_ = false;  // but from the beginning
  last_time_.start(os::seconds(kLastTime));
  if (!waiting()) next_.start(0);
}

void Departures::finished() {
  last_time_.stop();
  if (const auto done = std::exchange(finished_, nullptr)) done();
}

void Departures::pass() {
  if (over_ || asks_for_life_ || waiting()) return;
  set_moving(Moving::Now);
  if (turn_ == 0) share_out();
  if (!looking_ && (finished_ || CoarseClock::now() >= look_again_)) begin_to_look();
  proto::MoveBatch batch;
  std::vector<int> fds;
  take_out_upstreams();
  // Are there more of them, then these go first.
  if (upstreams_.size() < batch_size_) collect_connections(batch, fds);
  for (const auto [pool, connection] : upstreams_) {
    write_record(pool->cluster().name(), *connection, *batch.add_connections(), fds);
  }
  if (waiting()) return offer(batch, fds);
  finished();
  next_.start(std::max(os::seconds(look_again_ - CoarseClock::now()), 0.0));
}

// What is there changes all the time, but not while each counterpart has its turn.
void Departures::share_out() {
  if (channels_.size() == 1) return;
  share_ = share_of(sessions_of(listeners_), channels_.size());
  upstream_share_ = share_of(idle_upstreams_of(http_), channels_.size());
}

void Departures::begin_to_look() {
  looking_ = true;
  unseen_.clear();
  for (const auto& listener : listeners_) unseen_.push_back(listener->sessions().size());
}

// From within an event of the connection: it is frozen in the next slice, which follows at once
// unless an answer is waited for.
void Departures::on_boarding() {
  if (!waiting()) next_.start(0);
}

void Departures::offer(proto::MoveBatch& batch, std::span<const int> fds) {
  batch.set_id(++batch_);
  turn_ = (turn_ + 1) % channels_.size();
  channel().set_last_words(proto::MOVE_ABORT, decision());
  channel().request<proto::MoveVerdicts>(
      proto::MOVE_PREPARE, batch, fds, kAnswerTime,
      [this](const Answer& answer, const proto::Fds&) { on_answer(answer); });
  prompt_.start(os::seconds(kPromptTime));
  hooks_.reached(MovePoint::Offered);
}

void Departures::on_slow_answer() { set_moving(Moving::Later); }

void Departures::take_out_upstreams() {
  if (!upstreams_travel_) return;
  http_.for_each_pool([&](http::UpstreamPool& pool) {
    while (upstreams_.size() < std::min(batch_size_, upstream_share_)) {
      http::UpstreamConnection* const connection = pool.take_out();
      if (connection == nullptr) return;
      upstreams_.push_back({&pool, connection});
    }
  });
}

void Departures::collect_connections(proto::MoveBatch& batch, std::vector<int>& fds) {
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    if (!collect(*listeners_[i], unseen_[i], batch, fds)) return;
  }
  // All of them have been looked at.
  if (!std::exchange(looking_, false)) return;
  look_again_ = CoarseClock::now() + kLookAgain;
}

// False: the batch is full. What does not move goes to the end of the list, so that no slice looks
// at it a second time.
bool Departures::collect(ActiveListener& listener, std::size_t& unseen, proto::MoveBatch& batch,
                         std::vector<int>& fds) {
  auto& sessions = listener.sessions();
  unseen = std::min(unseen, sessions.size());
  while (!sessions.empty()) {
    Session& session = sessions.front();
    if (!session.boards() && unseen == 0) return true;
    if (travellers_.size() == std::min(batch_size_, share_)) return false;
    if (!session.boards()) --unseen;
    if (!session.stays() && session.freeze()) {
      listener.take_out(session);
      travellers_.push_back({&listener, &session});
      write_record(listener.config().name, session.state(), session.move_details(),
                   *batch.add_connections(), fds);
    } else if (session.boards()) {
      // Not for what it is at, then, but for a filter: it would wait behind each answer in vain.
      session.set_stays(true);
      listener.let_go_on(session);
    } else {
      sessions.splice(sessions.end(), sessions, sessions.iterator_to(session));
    }
  }
  return true;
}

void Departures::on_answer(const Answer& answer) {
  prompt_.stop();
  if (!answer) return on_failure(answer.error());
  if (static_cast<std::size_t>(answer->verdicts_size()) != travellers_.size() + upstreams_.size()) {
    return on_failure({proto::CallError::Code::Malformed, "malformed verdicts"});
  }
  pause_seconds_ = 0;
  batch_size_ = std::min(2 * batch_size_, kLargestBatch);
  settle(*answer);
  if (retired_) return settled_(*this);
  if (!over_) next_.start(0);
}

// The abort comes first in the channel's order, so new will not start what is taken back.
void Departures::on_failure(const proto::CallError& error) {
  log::warning("{} connections are not taken over: {}", travellers_.size() + upstreams_.size(),
               error.text);
  abort();
  counters_.returned(travellers_.size());
  using Code = proto::CallError::Code;
  const bool is_alone = travellers_.size() + upstreams_.size() == 1;
  const bool too_large = error.code == Code::BadRequest;
  const std::size_t half = std::max(travellers_.size(), upstreams_.size()) / 2;
  if (too_large && is_alone && !travellers_.empty()) travellers_.front().session->set_stays(true);
  take_all_back();
  if (retired_) return settled_(*this);
  if (!channel().open()) return end();
  if (error.code == Code::DeadlineExceeded) {
    batch_size_ = std::max<std::size_t>(batch_size_ / 2, 1);
    return ask_for_life();
  }
  // Else there are no descriptors, in either process.
  if (!too_large && error.code != Code::Failed) return end();
  if (is_alone && !too_large) {
    set_moving(Moving::Later);
    finished();
    return next_.start(kShortageSeconds);
  }
  batch_size_ = std::max<std::size_t>(half, 1);
  next_.start(too_large ? 0 : os::seconds(kLookAgain));
}

void Departures::abort() {
  if (channel().open()) channel().notify(proto::MOVE_ABORT, decision());
}

proto::MoveDecision Departures::decision() const {
  proto::MoveDecision decision;
  decision.set_id(batch_);
  return decision;
}

// New is stopped or starved, and may go on at any time. What it does not read keeps sockets open
// that are closed here, so it is asked by a batch of nothing. Should it answer that and no other,
// connections must not stand still for each try.
void Departures::ask_for_life() {
  set_moving(Moving::Later);
  finished();
  asks_for_life_ = true;
  proto::MoveBatch nothing;
  nothing.set_id(++batch_);
  channel().request<proto::MoveVerdicts>(proto::MOVE_PREPARE, nothing, {}, kNoDeadline,
                                         [this](const Answer& answer, const proto::Fds&) {
                                           asks_for_life_ = false;
                                           if (!answer) return end();
                                           abort();
                                           next_.start(pause_seconds_);
                                           pause_seconds_ = std::min(2 * pause_seconds_ + 1,
                                                                     kLongestPauseSeconds);
                                         });
}

void Departures::settle(const proto::MoveVerdicts& verdicts) {
  hooks_.reached(MovePoint::Accepted);
  if (!channel().notify(proto::MOVE_COMMIT, decision())) {
    counters_.returned(travellers_.size());
    end();
    return take_all_back();
  }
  channel().clear_last_words();
  const std::span<const int> all(verdicts.verdicts().data(),
                                 travellers_.size() + upstreams_.size());
  settle_upstreams(all.subspan(travellers_.size()));
  std::uint64_t moved = 0;
  const auto travellers = std::exchange(travellers_, {});
  for (std::size_t i = 0; i < travellers.size(); ++i) {
    const auto [listener, session] = travellers[i];
    const auto verdict = static_cast<proto::MoveVerdict>(all[i]);
    if (verdict == proto::MOVE_ACCEPTED) {
      ++moved;
      listener->has_moved(*session);
      continue;
    }
    counters_.rejected(verdict);
    if (!retired_) session->set_stays(true);
    listener->put_back(*session);
  }
  counters_.moved_out(moved);
  hooks_.reached(MovePoint::Committed);
}

void Departures::settle_upstreams(std::span<const int> verdicts) {
  std::uint64_t moved = 0;
  const auto upstreams = std::exchange(upstreams_, {});
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    const auto [pool, connection] = upstreams[i];
    const auto verdict = static_cast<proto::MoveVerdict>(verdicts[i]);
    if (verdict == proto::MOVE_UNKNOWN_KIND) {
      upstreams_travel_ = false;
      pool->put_back(*connection);
      continue;
    }
    if (verdict != proto::MOVE_ACCEPTED) {
      pool->close(*connection);
      continue;
    }
    ++moved;
    pool->has_moved(*connection);
  }
  counters_.upstreams_moved(moved);
}

// Who boards waits for the next slice; is that not to follow soon, it goes on.
void Departures::set_moving(Moving moving) {
  drain_.set_moving(moving);
  if (moving == Moving::Now) return;
  for (const auto& listener : listeners_) {
    auto& sessions = listener->sessions();
    while (!sessions.empty() && sessions.front().boards()) listener->let_go_on(sessions.front());
  }
}

// Who is still here drains.
void Departures::end() {
  over_ = true;
  next_.stop();
  prompt_.stop();
  if (!retired_) set_moving(Moving::Off);
  finished();
}

// New may never read the abort, and hold copies of the sockets, or the message with them, for as
// long as it hangs.
void Departures::take_all_back() {
  for (const auto [listener, session] : std::exchange(travellers_, {})) {
    session->state().set_shared();
    listener->put_back(*session);
  }
  for (const auto [pool, connection] : std::exchange(upstreams_, {})) {
    connection->set_shared();
    pool->put_back(*connection);
  }
}

}  // namespace baton::proxy

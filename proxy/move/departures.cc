#include "proxy/move/departures.h"

#include <algorithm>
#include <utility>

#include "proxy/move/connection_record.h"
#include "proxy/move/idle_upstream_record.h"
#include "proxy/upstream/cluster.h"
#include "shared/os/log.h"

namespace baton::proxy {
namespace {

// How often those are looked at again that could not move.
constexpr ev::tstamp kLookAgainSeconds = 0.02;

}  // namespace

Departures::Departures(Options options)
    : listeners_(options.listeners),
      http_(options.http),
      counters_(options.counters),
      drain_(options.drain),
      on_move_(options.on_move),
      next_(options.loop),
      channel_(options.loop, std::move(options.channel), "next generation's worker") {
  next_.set<Departures, &Departures::pass>(this);
  channel_.on_close([this](const std::string&) { end(); });
  drain_.set_moving(true);
  next_.start(0);
}

// The process ends, and with it what is still offered: new sees that, and goes on with it.
Departures::~Departures() {
  for (const Traveller& traveller : travellers_) delete traveller.session;
}

void Departures::pass() {
  if (over_ || waiting()) return;
  proto::MoveBatch batch;
  std::vector<int> fds;
  collect_upstreams(batch, fds);
  if (!waiting()) collect_connections(batch, fds);
  if (!waiting()) return next_.start(kLookAgainSeconds);
  batch.set_id(++batch_);
  channel_.request<proto::MoveVerdicts>(
      proto::MOVE_PREPARE, batch, fds, kAnswerTime,
      [this](const Answer& answer, const proto::Fds&) { on_answer(answer); });
  reached(MovePoint::Offered);
}

void Departures::collect_upstreams(proto::MoveBatch& batch, std::vector<int>& fds) {
  if (!upstreams_travel_) return;
  http_.for_each_pool([&](http::UpstreamPool& pool) {
    while (upstreams_.size() < batch_size_) {
      http::UpstreamConnection* const connection = pool.take_out();
      if (connection == nullptr) return;
      upstreams_.push_back({&pool, connection});
      write_record(pool.cluster().name(), *connection, *batch.add_connections(), fds);
    }
  });
}

void Departures::collect_connections(proto::MoveBatch& batch, std::vector<int>& fds) {
  for (const auto& listener : listeners_) {
    auto& sessions = listener->sessions();
    for (auto next = sessions.begin(); next != sessions.end();) {
      if (travellers_.size() == batch_size_) return;
      Session& session = *next++;
      if (session.stays() || !session.freeze()) continue;
      listener->take_out(session);
      travellers_.push_back({listener.get(), &session});
      write_record(listener->config().name, session.state(), session.move_details(),
                   *batch.add_connections(), fds);
    }
  }
}

void Departures::on_answer(const Answer& answer) {
  if (!answer) return on_failure(answer.error());
  if (static_cast<std::size_t>(answer->verdicts_size()) != travellers_.size() + upstreams_.size()) {
    return on_failure({proto::CallError::Code::Malformed, "malformed verdicts"});
  }
  settle(*answer);
  if (!over_) next_.start(0);
}

// The abort comes first in the channel's order, so new will not start what is taken back.
void Departures::on_failure(const proto::CallError& error) {
  log::warning("{} connections are not taken over: {}", travellers_.size() + upstreams_.size(),
               error.text);
  proto::MoveDecision abort;
  abort.set_id(batch_);
  if (channel_.open()) channel_.notify(proto::MOVE_ABORT, abort);
  counters_.returned(travellers_.size());
  take_all_back();
  const bool short_of_descriptors = error.code == proto::CallError::Code::Failed;
  if (short_of_descriptors && batch_size_ > 1) {
    batch_size_ /= 2;
    next_.start(kLookAgainSeconds);
  } else {
    end();
  }
}

void Departures::settle(const proto::MoveVerdicts& verdicts) {
  reached(MovePoint::Accepted);
  proto::MoveDecision commit;
  commit.set_id(batch_);
  if (!channel_.notify(proto::MOVE_COMMIT, commit)) {
    counters_.returned(travellers_.size());
    end();
    return take_all_back();
  }
  settle_upstreams(verdicts);
  std::uint64_t moved = 0;
  const auto travellers = std::exchange(travellers_, {});
  for (std::size_t i = 0; i < travellers.size(); ++i) {
    const auto [listener, session] = travellers[i];
    const proto::MoveVerdict verdict = verdicts.verdicts(static_cast<int>(i));
    if (verdict == proto::MOVE_ACCEPTED) {
      ++moved;
      listener->has_moved(*session);
      continue;
    }
    counters_.rejected(verdict);
    session->set_stays();
    listener->put_back(*session);
  }
  counters_.moved_out(moved);
  reached(MovePoint::Committed);
}

void Departures::settle_upstreams(const proto::MoveVerdicts& verdicts) {
  std::uint64_t moved = 0;
  const auto upstreams = std::exchange(upstreams_, {});
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    const auto [pool, connection] = upstreams[i];
    const proto::MoveVerdict verdict = verdicts.verdicts(static_cast<int>(i));
    if (verdict == proto::MOVE_UNKNOWN_KIND) {
      upstreams_travel_ = false;
      pool->put_back(*connection);
      continue;
    }
    if (verdict == proto::MOVE_ACCEPTED) ++moved;
    pool->has_moved(*connection);
  }
  counters_.upstreams_moved(moved);
}

// Who is still here drains.
void Departures::end() {
  over_ = true;
  next_.stop();
  drain_.set_moving(false);
}

void Departures::take_all_back() {
  for (const auto [listener, session] : std::exchange(travellers_, {})) {
    listener->put_back(*session);
  }
  for (const auto [pool, connection] : std::exchange(upstreams_, {})) pool->put_back(*connection);
}

}  // namespace baton::proxy

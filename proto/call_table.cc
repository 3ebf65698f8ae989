#include "proto/call_table.h"

#include <algorithm>

namespace baton::proto {

std::uint32_t CallTable::add(std::uint16_t kind, Channel::RawReplyHandler handler,
                             std::chrono::milliseconds deadline, TimePoint now) {
  do {
    ++last_id_;
  } while (last_id_ == 0 || open_.contains(last_id_) || find_late(last_id_) != late_.end());
  Call& call = open_[last_id_];
  call.kind = kind;
  call.handler = std::make_shared<Channel::RawReplyHandler>(std::move(handler));
  call.deadline = deadline;
  call.order = ++made_;
  start_deadline(last_id_, call, now);
  return last_id_;
}

CallTable::Answer CallTable::answer(std::uint32_t id, std::uint16_t kind, bool partial,
                                    TimePoint now) {
  if (const auto late = find_late(id); late != late_.end()) {
    if (late->kind != kind) return {};
    if (!partial) late_.erase(late);
    return {.match = Match::Late};
  }
  const auto found = open_.find(id);
  if (found == open_.end() && id <= inherited_) return {.match = Match::Late};
  if (found == open_.end() || found->second.kind != kind) return {};
  Call& call = found->second;
  Answer answer{.match = Match::Open, .handler = call.handler};
  due_.erase({call.due, id});
  if (partial) {
    start_deadline(id, call, now);
  } else {
    open_.erase(found);
  }
  return answer;
}

CallTable::Answer CallTable::answer_lost(std::uint32_t id, std::uint16_t kind, bool partial,
                                         TimePoint now) {
  Answer lost = answer(id, kind, partial, now);
  if (lost.match == Match::Open && partial) {
    static_cast<void>(take(id));
    remember_late(id, kind);
  }
  return lost;
}

std::optional<CallTable::Expired> CallTable::take_due(TimePoint now) {
  if (due_.empty() || due_.begin()->first > now) return std::nullopt;
  const std::uint32_t id = due_.begin()->second;
  due_.erase(due_.begin());
  const auto call = open_.extract(id);
  remember_late(id, call.mapped().kind);
  return Expired{id, call.mapped().handler};
}

std::optional<CallTable::TimePoint> CallTable::next_due() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

CallTable::Handler CallTable::take(std::uint32_t id) {
  const auto call = open_.extract(id);
  if (call.empty()) return nullptr;
  due_.erase({call.mapped().due, id});
  return call.mapped().handler;
}

std::vector<CallTable::Handler> CallTable::take_all() {
  std::vector<std::pair<std::uint64_t, Handler>> calls;  // ids wrap around, so they are no order
  for (auto& [id, call] : open_) calls.emplace_back(call.order, std::move(call.handler));
  std::ranges::sort(calls, {}, &std::pair<std::uint64_t, Handler>::first);
  open_.clear();
  due_.clear();
  late_.clear();
  std::vector<Handler> handlers;
  for (auto& [order, handler] : calls) handlers.push_back(std::move(handler));
  return handlers;
}

void CallTable::remember_late(std::uint32_t id, std::uint16_t kind) {
  late_.push_back({id, kind});
  if (late_.size() > kMaxLate) late_.pop_front();
}

void CallTable::start_deadline(std::uint32_t id, Call& call, TimePoint now) {
  if (call.deadline <= std::chrono::milliseconds::zero()) return;
  call.due = now + call.deadline;
  due_.emplace(call.due, id);
}

std::deque<CallTable::LateCall>::iterator CallTable::find_late(std::uint32_t id) {
  return std::ranges::find(late_, id, &LateCall::id);
}

}  // namespace baton::proto

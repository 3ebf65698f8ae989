#include "proxy/move/session_loans.h"

#include <algorithm>
#include <utility>

#include "shared/os/seconds.h"

namespace baton::proxy {

void SessionLoans::lend(os::UniqueFd channel, std::vector<int> sockets) {
  lenders_.push_back(std::make_unique<SessionLender>(
      SessionLender::Options{.loop = options_.loop,
                             .channel = std::move(channel),
                             .sockets = std::move(sockets),
                             .listeners = options_.listeners,
                             .counters = options_.counters,
                             .hooks = options_.hooks,
                             .ended = [this] { report_if_settled(); }}));
}

void SessionLoans::commit() {
  for (const auto& lender : lenders_) lender->commit();
}

void SessionLoans::take_back() {
  for (const auto& lender : lenders_) lender->end(true);
  lenders_.clear();
}

void SessionLoans::when_settled(std::function<void()> settled) {
  settled_ = std::move(settled);
  report_if_settled();
}

void SessionLoans::report_if_settled() {
  if (!settled_ || !std::ranges::all_of(lenders_, &SessionLender::over)) return;
  std::exchange(settled_, nullptr)();
}

SessionLoans::SessionLoans(const Options& options) : options_(options), patience_(options.loop) {
  patience_.set<SessionLoans, &SessionLoans::read>(this);
}

void SessionLoans::hold() {
  for (const auto& listener : options_.listeners) listener->hold();
  patience_.start(os::seconds(SessionBorrower::kPatience));
}

void SessionLoans::yield() {
  for (const auto& listener : options_.listeners) listener->yield();
  patience_.start(os::seconds(SessionBorrower::kPatience));
}

void SessionLoans::read() {
  patience_.stop();
  for (const auto& listener : options_.listeners) listener->read();
}

void SessionLoans::borrow(std::vector<os::UniqueFd> channels) {
  unsettled_ += channels.size();
  if (unsettled_ == 0) return read();
  for (os::UniqueFd& channel : channels) {
    borrowers_.push_back(
        std::make_unique<SessionBorrower>(SessionBorrower::Options{.loop = options_.loop,
                                                                   .channel = std::move(channel),
                                                                   .listeners = options_.listeners,
                                                                   .counters = options_.counters,
                                                                   .hooks = options_.hooks,
                                                                   .settled =
                                                                       [this] {
                                                                         if (--unsettled_ == 0)
                                                                           read();
                                                                       },
                                                                   .yield = [this] { yield(); }}));
  }
}

}  // namespace baton::proxy

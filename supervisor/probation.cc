#include "supervisor/probation.h"

#include "shared/os/seconds.h"

namespace baton::supervisor {
namespace {}  // namespace

Probation::Probation(ev::loop_ref loop, GenerationProcess& generation,
                     std::chrono::milliseconds length, Done done)
    : generation_(generation),
      done_(std::move(done)),
      next_ping_(loop),
      end_(loop),
      self_(std::make_shared<Probation*>(this)) {
  next_ping_.set<Probation, &Probation::ping>(this);
  end_.set<Probation, &Probation::on_end>(this);
  end_.start(os::seconds(length));
  if (length == std::chrono::milliseconds(0)) return;
  next_ping_.start(os::seconds(kInterval), os::seconds(kInterval));
  ping();
}

void Probation::ping() {
  ++unanswered_;
  generation_.ping([self = std::weak_ptr(self_)](const std::optional<std::string>& error) {
    if (const auto probation = self.lock()) (*probation)->on_answer(error);
  });
}

void Probation::on_end() {
  over_ = true;
  next_ping_.stop();
  if (unanswered_ == 0) finish(std::nullopt);
}

void Probation::on_answer(const std::optional<std::string>& error) {
  --unanswered_;
  if (error) return finish("did not answer a ping: " + *error);
  if (over_ && unanswered_ == 0) finish(std::nullopt);
}

void Probation::finish(std::optional<std::string> error) {
  next_ping_.stop();
  end_.stop();
  if (const Done done = std::exchange(done_, nullptr)) done(std::move(error));
}

}  // namespace baton::supervisor

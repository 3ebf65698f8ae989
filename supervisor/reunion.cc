#include "supervisor/reunion.h"

#include <signal.h>

#include <algorithm>

#include "proto/negotiation.h"
#include "proto/seqpacket.h"
#include "shared/os/format.h"
#include "shared/os/log.h"
#include "shared/os/process.h"
#include "shared/os/seconds.h"
#include "shared/os/socket_type.h"
#include "supervisor/escrow.h"
#include "supervisor/notify.h"
#include "supervisor/open_pair.h"
#include "supervisor/same_secret.h"
#include "supervisor/service_manager.h"

namespace baton::supervisor {
namespace {

bool comes_back(const GenerationRecord& generation) {
  const auto& features = generation.features;
  // One that was ready may have been told to serve and not yet have said that it does.
  return !generation.token.empty() && generation.phase >= Phase::Ready &&
         generation.role != Role::Dying &&
         std::ranges::find(features, proto::kFeatureReturn) != features.end();
}

// Longer than this takes. Who cannot be told is reported by ServiceManager, which follows.
void tell_manager(const std::string& status) {
  const std::chrono::microseconds extension = ServiceManager::kExtension;
  const auto told =
      notify(os::format("EXTEND_TIMEOUT_USEC={}\nSTATUS={}", extension.count(), status));
  if (!told) log::debug("{}", told.error().text());
}

}  // namespace

// One whose process runs.
class Reunion::Missed {
 public:
  Missed(Reunion& reunion, std::uint64_t generation, int pidfd)
      : reunion_(reunion), generation_(generation), ended_(reunion.loop_) {
    ended_.set<Missed, &Missed::on_ended>(this);
    ended_.start(pidfd, ev::READ);
  }

 private:
  void on_ended() { reunion_.on_ended(generation_); }

  Reunion& reunion_;
  const std::uint64_t generation_;
  ev::io ended_;
};

Reunion::Reunion(SupervisorState& state)
    : state_(state),
      server_(loop_, state.fds.get(state.control.listener), state.control.group, *this),
      patience_(loop_) {
  patience_.set<Reunion, &Reunion::on_patience_over>(this);
}

Reunion::~Reunion() = default;

void Reunion::run() {
  find_processes();
  if (!missed_.empty()) {
    const std::string what = os::format(
        "waiting for {} generations of the supervisor before to come back", missed_.size());
    log::info("{}", what);
    tell_manager(what);
    patience_.start(os::seconds(kPatience));
    loop_.run();
    // Killed, and not ended for all that: the kernel has it.
    for (const auto& [id, missed] : missed_) state_.generations.at(id).role = Role::Dying;
    missed_.clear();
  }
  std::erase_if(state_.escrow, [](const EscrowEntry& entry) { return entry.fd == kNoFd; });
  complete_pairs();
}

// Who of them is still there, and whom to wait for. Of no use is a candidate that had not served,
// and one of a release that does not come back: nobody could tell it anything.
void Reunion::find_processes() {
  for (auto& [id, record] : state_.generations) {
    auto process = os::find_process(record.pid, record.identity);
    if (!process) {
      log::warning("generation {} has ended with its supervisor, or after it", id);
      if (!record.token.empty()) state_.presumed_ended.push_back({id, record.pid, record.token});
      continue;
    }
    record.pidfd = state_.fds.add(std::move(*process));
    const bool useless = !comes_back(record);
    if (useless && record.role == Role::Draining) continue;
    if (useless) kill(record);
    missed_[id] = std::make_unique<Missed>(*this, id, state_.fds.get(record.pidfd));
  }
}

void Reunion::on_ended(std::uint64_t generation) {
  log::warning("generation {} has ended without its supervisor", generation);
  missed_.erase(generation);
  GenerationRecord& record = state_.generations.at(generation);
  state_.fds.close(std::exchange(record.pidfd, kNoFd));
  settle();
}

void Reunion::on_patience_over() {
  bool killed = false;
  for (auto missed = missed_.begin(); missed != missed_.end();) {
    GenerationRecord& record = state_.generations.at(missed->first);
    if (record.role == Role::Draining) {
      missed = missed_.erase(missed);
      continue;
    }
    kill(record);
    killed = true;
    ++missed;
  }
  if (!killed || patience_.repeat > 0) return loop_.break_loop(ev::ALL);
  patience_.repeat = os::seconds(kEndTime);
  patience_.again();
}

void Reunion::kill(GenerationRecord& record) {
  log::warning("generation {} {}: killing it", record.id,
               comes_back(record) ? "has not come back" : "is of no use without its supervisor");
  os::send_signal(state_.fds.get(record.pidfd), SIGKILL);
  if (record.role == Role::Candidate) record.role = Role::Dying;
}

void Reunion::settle() {
  if (missed_.empty()) loop_.break_loop(ev::ALL);
}

void Reunion::refuse(const proto::Responder& client) {
  client.fail(proto::ErrorReply::REFUSED,
              "busy: waiting for the generations of a supervisor that was killed");
}

void Reunion::come_back(const proto::ComeBack& request, proto::Fds fds, pid_t peer,
                        const proto::Responder& generation) {
  const auto found = state_.generations.find(request.generation());
  const bool known = found != state_.generations.end() && missed_.contains(request.generation()) &&
                     found->second.pid == peer && comes_back(found->second) &&
                     same_secret(found->second.token, request.token());
  if (!known) {
    log::warning("process {} is not generation {}, as it says", peer, request.generation());
    return generation.fail(proto::ErrorReply::REFUSED, "no such generation is missed");
  }
  if (static_cast<std::size_t>(request.fds_size() + request.sockets_size()) != fds.size()) {
    return generation.fail(proto::ErrorReply::BAD_REQUEST, "another number of descriptors");
  }
  GenerationRecord& record = found->second;
  accept(record, request, std::move(fds));
  if (!request.last()) return generation.reply(proto::CameBack());
  auto channel = proto::make_pair();
  if (!channel) return generation.fail(proto::ErrorReply::FAILED, channel.error().text());
  const int theirs[] = {channel->second.get()};
  generation.reply(proto::CameBack(), theirs);
  record.channel_fd = channel->first.release();
  log::info("generation {} is back: {}", record.id, status_name(record));
  missed_.erase(record.id);
  settle();
}

void Reunion::accept(GenerationRecord& record, const proto::ComeBack& request, proto::Fds fds) {
  const auto roles = static_cast<std::size_t>(request.fds_size());
  for (std::size_t i = 0; i < roles; ++i) {
    take(record, request.fds(static_cast<int>(i)), std::move(fds[i]));
  }
  Escrow escrow(state_);
  for (int i = 0; i < request.sockets_size(); ++i) {
    os::UniqueFd& fd = fds[roles + static_cast<std::size_t>(i)];
    if (!os::socket_type(fd.get()).has_value()) continue;
    const proto::SocketInfo& info = request.sockets(i);
    escrow.put(SocketKey::from_message(info.key()), info.index(), record.id, std::move(fd));
  }
  // What it was told last may not be in the state any more.
  if (request.standing() == proto::STANDS_DRAINING) {
    record.role = Role::Draining;
    record.phase = Phase::Draining;
    if (!record.draining_since) record.draining_since = now();
    record.drain_deadline = now() + static_cast<double>(request.drain_left_ms()) / 1000;
  } else if (request.standing() == proto::STANDS_PAUSED) {
    record.phase = Phase::Paused;
  } else {
    record.phase = Phase::Serving;
    if (!record.serving_since) record.serving_since = now();
  }
}

void Reunion::take(GenerationRecord& record, proto::FdRole role, os::UniqueFd fd) {
  Pair& pair = state_.pairs.at(record.pair);
  if (role == proto::FD_REGION && state_.region_fd < 0) {
    state_.region_fd = fd.release();
  } else if (role == proto::FD_BINARY && pair.binary == kNoFd) {
    pair.binary = state_.fds.add(std::move(fd));
  } else if (role == proto::FD_CONFIG && pair.config == kNoFd && !pair.config_path.empty()) {
    pair.config = state_.fds.add(std::move(fd));
  }
}

// What nobody has brought cannot be gone back to. The one in charge needs its own to be reloaded:
// that is opened anew. If nobody is in charge any more, what is to run is the command line's to
// say.
void Reunion::complete_pairs() {
  const bool in_charge = std::ranges::any_of(state_.generations, [](const auto& entry) {
    return entry.second.role == Role::InCharge && entry.second.channel_fd >= 0;
  });
  for (auto& [id, pair] : state_.pairs) {
    const bool whole = pair.binary != kNoFd && (pair.config_path.empty() || pair.config != kNoFd);
    if (whole) continue;
    if (id == state_.previous) {
      state_.previous = kNoPair;
      state_.life.has_previous = false;
    }
    if (id != state_.good) continue;
    if (in_charge) {
      open_again(pair);
    } else {
      state_.good = kNoPair;
    }
  }
}

void Reunion::open_again(Pair& pair) {
  auto again = open_pair(state_.fds, pair.binary_path, pair.config_path);
  if (!again) return log::error("{}", again.error().text());
  log::warning("{}: from here on as it is on disk now", pair.files());
  close_pair(state_.fds, pair);
  again->generation = pair.generation;
  again->version = pair.version;
  pair = std::move(*again);
}

}  // namespace baton::supervisor

#include "supervisor/service_manager.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

#include "shared/os/format.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"
#include "supervisor/environment.h"
#include "supervisor/notify.h"
#include "supervisor/service_status.h"

namespace baton::supervisor {
namespace {

using lifecycle::Stage;

// When the manager was busy.
constexpr std::chrono::duration<double> kRetry{0.1};

// How long the manager waits for a sign of life from this process; nothing: it does not.
std::optional<std::chrono::microseconds> watchdog_time() {
  const auto usec = number_in("WATCHDOG_USEC");
  if (!usec || *usec == 0) return std::nullopt;
  if (std::getenv("WATCHDOG_PID") != nullptr &&
      number_in("WATCHDOG_PID") != static_cast<std::uint64_t>(::getpid())) {
    return std::nullopt;
  }
  return std::chrono::microseconds(*usec);
}

// The unit's timeouts run, and how long this takes is for the configuration to say, not for them.
// Where a fresh one is started, they run if nobody has served yet since this process began.
bool takes_its_time(Stage stage) {
  return stage == Stage::Starting || stage == Stage::Recovering || stage == Stage::BackingOff ||
         stage == Stage::Stopping || lifecycle::can_roll_back(stage);
}

std::string extension() {
  return os::format("\nEXTEND_TIMEOUT_USEC={}",
                    std::chrono::microseconds(ServiceManager::kExtension).count());
}

}  // namespace

ServiceManager::ServiceManager(ev::loop_ref loop, const SupervisorState& state,
                               const SupervisorRegion& region)
    : state_(state), region_(region), present_(has_service_manager()), timer_(loop), soon_(loop) {
  if (!present_) return;
  if (const auto time = watchdog_time()) {
    watched_ = true;
    interval_ = std::min<std::chrono::duration<double>>(*time / 2.0, interval_);
  }
  timer_.set<ServiceManager, &ServiceManager::tick>(this);
  soon_.set<ServiceManager, &ServiceManager::tick>(this);
  // The first one at once: a start may take longer than its timeout, too.
  timer_.start(0, interval_.count());
}

void ServiceManager::ready() { announce("READY=1"); }

void ServiceManager::reloading() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  announce(os::format("RELOADING=1\nMONOTONIC_USEC={}",
                      std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

// A supervisor that hangs in its drain is left to the stop's timeout, which has all the others
// ended as well. The watchdog, which a sign of life that meets the stop has set again, would end
// `service-stop` along with the supervisor.
void ServiceManager::stopping() {
  announce("STOPPING=1" + extension() + (watched_ ? "\nWATCHDOG_USEC=0" : ""));
}

void ServiceManager::changed() {
  if (present_ && !soon_.is_active()) soon_.start(os::seconds(kSoon));
}

// Where this process stands now: of what could not be said before, nothing matters any more.
void ServiceManager::announce(std::string words) {
  if (!present_) return;
  told_status_ = service_status(state_, region_, now());
  unsent_ = std::move(words) + "\nSTATUS=" + told_status_;
  flush();
}

void ServiceManager::tick() {
  if (!flush()) return;
  std::string lines;
  if (watched_ && state_.life.stage != Stage::Stopping) lines += "\nWATCHDOG=1";
  if (takes_its_time(state_.life.stage)) lines += extension();
  std::string status = service_status(state_, region_, now());
  if (status != told_status_) lines += "\nSTATUS=" + status;
  if (lines.empty()) return;
  if (send(lines.substr(1))) told_status_ = std::move(status);
}

// False: the manager is busy, and it is tried again soon.
bool ServiceManager::flush() {
  if (unsent_.empty()) return true;
  if (!send(unsent_)) return false;
  unsent_.clear();
  return true;
}

bool ServiceManager::send(const std::string& lines) {
  const auto sent = notify(lines);
  if (sent) return true;
  if (sent.error().code == EAGAIN) {
    timer_.stop();
    timer_.start(kRetry.count(), interval_.count());
    return false;
  }
  if (!std::exchange(failed_, true)) {
    log::warning("the service manager cannot be told: {}", sent.error().text());
  }
  return true;
}

}  // namespace baton::supervisor

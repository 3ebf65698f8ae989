#include "supervisor/fd_store.h"

#include <cerrno>
#include <utility>

#include "proto/seqpacket.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"
#include "supervisor/inherited_fds.h"
#include "supervisor/notify.h"
#include "supervisor/stored_names.h"

namespace baton::supervisor {

FdStore::FdStore(ev::loop_ref loop, SupervisorState& state)
    : state_(state), present_(has_service_manager()), timer_(loop), canary_watcher_(loop) {
  timer_.set<FdStore, &FdStore::sync>(this);
  canary_watcher_.set<FdStore, &FdStore::on_canary>(this);
}

void FdStore::sync_soon() {
  if (!present_ || timer_.is_active()) return;
  timer_.start(os::seconds(kDelay));
}

void FdStore::sync_now() {
  if (!present_) return;
  timer_.stop();
  sync();
}

void FdStore::clear() {
  if (!present_) return;
  timer_.stop();
  canary_watcher_.stop();
  for (const auto& [name, id] : std::exchange(state_.stored, {})) remove(name);
  remove(std::string(kStoredCanary));
  timer_.stop();  // a busy manager is not waited for
}

std::map<std::string, int> FdStore::wanted() const {
  std::map<std::string, int> wanted;
  const auto add = [&](FdIndex index) {
    if (index != kNoFd) wanted[stored_name(index)] = state_.fds.get(index);
  };
  for (const auto& [id, pair] : state_.pairs) {
    add(pair.binary);
    add(pair.config);
  }
  for (const EscrowEntry& entry : state_.escrow) add(entry.fd);
  if (state_.memory != kNoFd) wanted[std::string(kStoredState)] = state_.fds.get(state_.memory);
  if (state_.region_fd >= 0) wanted[std::string(kStoredRegion)] = state_.region_fd;
  return wanted;
}

// What is in the way first; what has been stored is noted at once, for a manager may be busy.
void FdStore::sync() {
  const auto wanted = this->wanted();
  for (auto stored = state_.stored.begin(); stored != state_.stored.end();) {
    const auto found = wanted.find(stored->first);
    if (found != wanted.end() && file_id(found->second) == stored->second) {
      ++stored;
      continue;
    }
    if (!remove(stored->first)) return;
    stored = state_.stored.erase(stored);
    state_.touch();
  }
  for (const auto& [name, fd] : wanted) {
    if (state_.stored.contains(name)) continue;
    if (!store(name, fd)) return;
    state_.stored[name] = file_id(fd);
    canary_due_ = true;
    state_.touch();
  }
  if (canary_due_) canary_due_ = !send_canary();
}

bool FdStore::remove(const std::string& name) {
  return send("FDSTOREREMOVE=1\nFDNAME=" + name, -1);
}

// Not polled: a socket that reports an error is not to be thrown out for it.
bool FdStore::store(const std::string& name, int fd) {
  return send("FDSTORE=1\nFDPOLL=0\nFDNAME=" + name, fd);
}

// False: the manager is busy, and it goes on from the beginning a little later.
bool FdStore::send(const std::string& lines, int fd) {
  const auto sent = notify(lines, fd);
  if (sent) return true;
  if (sent.error().code == EAGAIN) {
    timer_.start(os::seconds(kRetry));
    return false;
  }
  if (!std::exchange(failed_, true)) {
    log::warning("the service manager cannot be given descriptors: {}", sent.error().text());
  }
  return true;
}

// Behind all the others: kept if there was room for all of them.
bool FdStore::send_canary() {
  const std::string name(kStoredCanary);
  canary_watcher_.stop();
  canary_.reset();
  auto pair = proto::make_pair();
  if (!pair || refused_) return true;
  if (!remove(name) || !store(name, pair->second.get())) return false;
  if (failed_) return true;  // it was never sent, so its end says nothing
  canary_ = std::move(pair->first);
  canary_watcher_.start(canary_.get(), ev::READ);
  return true;
}

void FdStore::on_canary() {
  canary_watcher_.stop();
  canary_.reset();
  refused_ = true;
  log::warning(
      "the service manager does not keep all descriptors (FileDescriptorStoreMax=): should the "
      "supervisor and its generation be killed together, connections will be refused for a moment");
}

}  // namespace baton::supervisor

#include "proto/send_queue.h"

#include <fcntl.h>

#include <algorithm>

namespace baton::proto {

os::Result<void> SendQueue::push(std::string bytes, std::span<const int> fds,
                                 std::uint32_t request) {
  std::vector<os::UniqueFd> copies;
  copies.reserve(fds.size());
  for (const int fd : fds) {
    copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copies.back()) return os::errno_error("duplicate a descriptor to send");
  }
  bytes_ += bytes.size();
  fds_ += copies.size();
  items_.push_back(Item{std::move(bytes), std::move(copies), request});
  return {};
}

IoStatus SendQueue::flush(int socket, std::size_t limit) {
  std::vector<int> fds;
  for (; limit > 0 && !items_.empty(); --limit) {
    const Item& item = items_.front();
    fds.clear();
    for (const os::UniqueFd& fd : item.fds) fds.push_back(fd.get());
    const IoStatus status = send_datagram(socket, std::as_bytes(std::span(item.bytes)), fds);
    if (status != IoStatus::Done) return status;
    forget(item);
    items_.pop_front();
  }
  return IoStatus::Done;
}

bool SendQueue::withdraw(std::uint32_t request) {
  const auto found = std::ranges::find(items_, request, &Item::request);
  if (request == 0 || found == items_.end()) return false;
  forget(*found);
  items_.erase(found);
  return true;
}

void SendQueue::clear() {
  items_.clear();
  bytes_ = 0;
  fds_ = 0;
}

void SendQueue::forget(const Item& item) {
  bytes_ -= item.bytes.size();
  fds_ -= item.fds.size();
}

}  // namespace baton::proto

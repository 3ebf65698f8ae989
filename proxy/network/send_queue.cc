#include "proxy/network/send_queue.h"

#include <cstring>

#include "proxy/network/connection.h"

namespace baton::proxy {

SendQueue::SendQueue() : bytes_(std::make_unique_for_overwrite<char[]>(kCapacity)) {}

void SendQueue::close() {
  open_ = false;
  send_all();
}

bool SendQueue::take(Connection& connection, std::string_view bytes) {
  if (!open_ || bytes.size() > kMostBytes) {
    send_all();
    return false;
  }
  if (kCapacity - used_ < bytes.size()) send_all();
  std::memcpy(bytes_.get() + used_, bytes.data(), bytes.size());
  if (!entries_.empty() && entries_.back().connection == &connection) {
    entries_.back().size += bytes.size();
  } else {
    entries_.push_back({.connection = &connection, .begin = used_, .size = bytes.size()});
  }
  used_ += bytes.size();
  return true;
}

// Sending calls nobody back, so nothing comes in meanwhile.
void SendQueue::send_all() {
  for (const Entry& entry : entries_) {
    entry.connection->send_queued({bytes_.get() + entry.begin, entry.size});
  }
  entries_.clear();
  used_ = 0;
}

}  // namespace baton::proxy

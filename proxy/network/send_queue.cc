#include "proxy/network/send_queue.h"

#include <boost/container/static_vector.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/network/connection.h"
#include "proxy/network/socket_io.h"

namespace baton::proxy {
namespace {

// What Connection::on_queue_sent() wants to know.
int send_directly(int fd, std::span<const char> bytes) {
  const ssize_t count = socket_send(fd, bytes);
  return count < 0 ? -errno : static_cast<int>(count);
}

}  // namespace

SendQueue::SendQueue(std::unique_ptr<SendRing> ring)
    : bytes_(std::make_unique_for_overwrite<char[]>(kCapacity)), ring_(std::move(ring)) {}

void SendQueue::close() {
  open_ = false;
  send_all();
}

bool SendQueue::take(Connection& connection, std::string_view bytes) {
  if (!open_ || bytes.empty() || bytes.size() > kMostBytes) return false;
  const bool goes_on = !entries_.empty() && entries_.back().connection == &connection;
  if (kCapacity - used_ < bytes.size() || (connection.queued_ && !goes_on)) {
    send_all();
    if (!connection.sends_next()) return false;
  }
  std::memcpy(bytes_.get() + used_, bytes.data(), bytes.size());
  if (connection.queued_) {
    entries_.back().size += bytes.size();
  } else {
    entries_.push_back({.connection = &connection, .begin = used_, .size = bytes.size()});
  }
  used_ += bytes.size();
  return true;
}

// Sending calls nobody back, so nothing comes in meanwhile.
void SendQueue::send_all() {
  for (std::span<const Entry> left = entries_; !left.empty();) {
    const std::size_t count = ring_ ? std::min(left.size(), SendRing::kMostSends) : 1;
    count == 1 ? send_alone(left.front()) : send_row(left.first(count));
    left = left.subspan(count);
  }
  entries_.clear();
  used_ = 0;
}

void SendQueue::send_alone(const Entry& entry) {
  const int fd = entry.connection->queue_target();
  entry.connection->on_queue_sent(bytes_of(entry), fd < 0 ? 0 : send_directly(fd, bytes_of(entry)));
}

void SendQueue::send_row(std::span<const Entry> row) {
  boost::container::static_vector<SendRing::Send, SendRing::kMostSends> sends;
  boost::container::static_vector<const Entry*, SendRing::kMostSends> sent;
  for (const Entry& entry : row) {
    const int fd = entry.connection->queue_target();
    if (fd < 0) {
      entry.connection->on_queue_sent(bytes_of(entry), 0);
      continue;
    }
    sends.push_back({.fd = fd, .bytes = bytes_of(entry)});
    sent.push_back(&entry);
  }
  const std::size_t tried = ring_->send({sends.data(), sends.size()});
  if (tried < sends.size()) ring_.reset();
  for (std::size_t i = 0; i < sends.size(); ++i) {
    if (i >= tried) sends[i].result = send_directly(sends[i].fd, sends[i].bytes);
    sent[i]->connection->on_queue_sent(bytes_of(*sent[i]), sends[i].result);
  }
}

}  // namespace baton::proxy

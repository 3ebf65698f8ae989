// Datagrams that a socket does not take yet, in order, with descriptors of their own.
// Thread: its channel's. Owns: duplicates of the descriptors until they are sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "proto/seqpacket.h"
#include "shared/os/error.h"
#include "shared/os/unique_fd.h"

namespace baton::proto {

class SendQueue {
 public:
  // Appends a datagram with duplicates of `fds`; unchanged on failure (EMFILE, EBADF).
  // `request`: the id when it is a request, for withdraw(); otherwise 0.
  os::Result<void> push(std::string bytes, std::span<const int> fds, std::uint32_t request);

  // Sends from the front, at most `limit` datagrams. Done: the queue is empty or the limit reached.
  // Otherwise what stopped it, as send_datagram() says; the datagram concerned stays in front.
  IoStatus flush(int socket, std::size_t limit);

  // Removes a request that has not been sent; false: it has, or never was here.
  bool withdraw(std::uint32_t request);
  void clear();

  bool empty() const { return items_.empty(); }
  std::size_t bytes() const { return bytes_; }
  std::size_t fds() const { return fds_; }

 private:
  struct Item {
    std::string bytes;
    std::vector<os::UniqueFd> fds;
    std::uint32_t request;
  };
  void forget(const Item& item);

  std::deque<Item> items_;
  std::size_t bytes_ = 0;  // of all items
  std::size_t fds_ = 0;    // of all items
};

}  // namespace baton::proto

// What connections write in one iteration of a worker's loop, sent in a row at its end.
//
// A send runs through more of the kernel than a processor's nearest cache holds, and so does what
// Baton does for a message: in turn they throw each other out. One send right behind another finds
// its way there: 3 to 4 % of a small HTTP request's CPU. With a ring a row of them is one system
// call: 2 to 7 % more, and 1 to 6 % of a small round trip's through a tunnel. What one connection
// writes in a row leaves in one piece.
//
// What is too large goes past the queue, which is sent ahead of it: a small answer waits for what
// the loop does for others, but not for others' megabytes.
// Thread: its loop's. Owns: the ring. Borrows: the connections in it, which leave by send_all()
// before they end.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "proxy/network/send_ring.h"

namespace baton::proxy {

class Connection;

class SendQueue {
 public:
  // Of one write, in bytes: copying more costs as much as it saves.
  static constexpr std::size_t kMostBytes = std::size_t{4} * 1024;
  // Of all that waits.
  static constexpr std::size_t kCapacity = std::size_t{16} * 1024;

  // `ring` may be null.
  explicit SendQueue(std::unique_ptr<SendRing> ring);

  // Around the callbacks of an iteration. Outside of them nothing is taken.
  void open() { open_ = true; }
  void close();

  // Copies the bytes, sends them later and tells Connection::on_queue_sent(). False: it does not,
  // and what the connection has in it comes first.
  [[nodiscard]] bool take(Connection& connection, std::string_view bytes);
  void send_all();

 private:
  struct Entry {
    Connection* connection;  // each has one entry
    std::size_t begin;       // in bytes_
    std::size_t size;
  };

  std::string_view bytes_of(const Entry& entry) const {
    return {bytes_.get() + entry.begin, entry.size};
  }
  void send_alone(const Entry& entry);
  void send_row(std::span<const Entry> row);

  std::unique_ptr<char[]> bytes_;  // kCapacity
  std::size_t used_ = 0;
  std::vector<Entry> entries_;
  std::unique_ptr<SendRing> ring_;
  bool open_ = false;
};

}  // namespace baton::proxy

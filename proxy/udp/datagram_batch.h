// Up to kMost datagrams received by one system call, and sent on by one more for each run of them
// that goes to the same place. The memory is the size of the largest datagrams, but only pages that
// have been used are real.
//
// Thread: its worker's; one for all its UDP listeners. What receive() has brought is there until
// the next one. Source: recvmmsg(2), sendmmsg(2), ip(7) IP_PKTINFO, RFC 3542 section 6.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "proxy/udp/flow_key.h"

namespace baton::proxy::udp {

class DatagramBatch {
 public:
  static constexpr std::size_t kMost = 16;

  DatagramBatch();
  DatagramBatch(const DatagramBatch&) = delete;
  DatagramBatch& operator=(const DatagramBatch&) = delete;

  enum class Source : std::uint8_t { Clients, Endpoint };  // Endpoint: no flows

  // How many there are now; or 0, and errno says why: EAGAIN, there is none, or an error that was
  // reported to the socket, which is thereby forgotten.
  std::size_t receive(int fd, Source source);

  std::size_t size(std::size_t i) const { return received_[i].msg_len; }
  const FlowKey& flow(std::size_t i) const { return flows_[i]; }

  struct Sent {
    std::size_t count = 0;
    std::uint64_t bytes = 0;
    int error = 0;  // why the one after those was not sent; 0: all were
  };
  // Those from `begin` to before `end`, unchanged, over a connected socket.
  Sent send(int fd, std::size_t begin, std::size_t end);
  // To the flow's client, from the address it had sent to.
  Sent send_to(const FlowKey& flow, int fd, std::size_t begin, std::size_t end);

 private:
  // One byte more than a datagram can have, so that none is cut short: RFC 768, RFC 8200.
  static constexpr std::size_t kRoom = std::size_t{64} * 1024;
  // The larger of the two kinds of pktinfo.
  static constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));
  struct alignas(cmsghdr) Control {
    char bytes[kControlBytes];
  };

  Sent send_with(int fd, std::size_t begin, std::size_t end, const msghdr& header);

  std::unique_ptr<char[]> room_;
  std::array<iovec, kMost> pieces_;
  std::array<sockaddr_storage, kMost> sources_;
  std::array<Control, kMost> controls_;
  std::array<mmsghdr, kMost> received_;
  std::array<FlowKey, kMost> flows_;
};

}  // namespace baton::proxy::udp

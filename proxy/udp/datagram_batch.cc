#include "proxy/udp/datagram_batch.h"

#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace baton::proxy::udp {
namespace {

static_assert(sizeof(in6_pktinfo) >= sizeof(in_pktinfo));

// Where a datagram was sent to, if the socket tells. Not an address of a group: nothing can be sent
// from there. For IPv4 the kernel has found the proper one already.
void read_local(msghdr& header, FlowKey& flow) {
  for (cmsghdr* each = CMSG_FIRSTHDR(&header); each != nullptr; each = CMSG_NXTHDR(&header, each)) {
    if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(each), sizeof info);
      std::memcpy(flow.local.data(), &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
    } else if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(each), sizeof info);
      if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) continue;
      std::memcpy(flow.local.data(), &info.ipi6_addr, sizeof info.ipi6_addr);
    }
  }
}

template <class Info>
std::size_t put(cmsghdr& header, int level, int type, const Info& info) {
  header = {.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = level, .cmsg_type = type};
  std::memcpy(CMSG_DATA(&header), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

// Returns the length.
std::size_t write_local(const FlowKey& flow, cmsghdr& header) {
  if (flow.family == AF_INET) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, flow.local.data(), sizeof info.ipi_spec_dst);
    return put(header, IPPROTO_IP, IP_PKTINFO, info);
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, flow.local.data(), sizeof info.ipi6_addr);
  info.ipi6_ifindex = flow.scope;
  return put(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

}  // namespace

DatagramBatch::DatagramBatch() : room_(std::make_unique_for_overwrite<char[]>(kMost * kRoom)) {
  for (std::size_t i = 0; i < kMost; ++i) pieces_[i] = {&room_[i * kRoom], kRoom};
}

// Without the C library's cancellation points, as in socket_io.h.
std::size_t DatagramBatch::receive(int fd, Source source) {
  const bool clients = source == Source::Clients;
  for (std::size_t i = 0; i < kMost; ++i) {
    pieces_[i].iov_len = kRoom;
    received_[i].msg_hdr = {.msg_name = clients ? &sources_[i] : nullptr,
                            .msg_namelen = clients ? socklen_t{sizeof sources_[i]} : 0,
                            .msg_iov = &pieces_[i],
                            .msg_iovlen = 1,
                            .msg_control = clients ? controls_[i].bytes : nullptr,
                            .msg_controllen = clients ? sizeof controls_[i].bytes : 0};
  }
  const auto count = ::syscall(SYS_recvmmsg, fd, received_.data(), kMost, MSG_DONTWAIT, nullptr);
  if (count <= 0) return 0;
  for (std::size_t i = 0; clients && i < static_cast<std::size_t>(count); ++i) {
    flows_[i] = FlowKey::of_client(sources_[i]);
    read_local(received_[i].msg_hdr, flows_[i]);
  }
  return static_cast<std::size_t>(count);
}

DatagramBatch::Sent DatagramBatch::send(int fd, std::size_t begin, std::size_t end) {
  return send_with(fd, begin, end, {});
}

DatagramBatch::Sent DatagramBatch::send_to(const FlowKey& flow, int fd, std::size_t begin,
                                           std::size_t end) {
  sockaddr_storage client;
  msghdr header{};
  header.msg_name = &client;
  header.msg_namelen = flow.client_address(client);
  Control control{};
  if (flow.has_local()) {
    header.msg_control = control.bytes;
    header.msg_controllen = write_local(flow, *reinterpret_cast<cmsghdr*>(control.bytes));
  }
  return send_with(fd, begin, end, header);
}

DatagramBatch::Sent DatagramBatch::send_with(int fd, std::size_t begin, std::size_t end,
                                             const msghdr& header) {
  std::array<mmsghdr, kMost> sending;
  for (std::size_t i = begin; i < end; ++i) {
    pieces_[i].iov_len = size(i);
    sending[i].msg_hdr = header;
    sending[i].msg_hdr.msg_iov = &pieces_[i];
    sending[i].msg_hdr.msg_iovlen = 1;
  }
  const auto count = ::syscall(SYS_sendmmsg, fd, &sending[begin], end - begin, MSG_DONTWAIT);
  Sent sent;
  if (count < 0) {
    sent.error = errno;
    return sent;
  }
  sent.count = static_cast<std::size_t>(count);
  for (std::size_t i = begin; i < begin + sent.count; ++i) sent.bytes += size(i);
  // The kernel keeps the reason to itself once some were sent: the caller asks again.
  if (begin + sent.count < end) sent.error = EINTR;
  return sent;
}

}  // namespace baton::proxy::udp

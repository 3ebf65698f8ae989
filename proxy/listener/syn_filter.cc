#include "proxy/listener/syn_filter.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>

namespace baton::proxy {
namespace {

constexpr unsigned kFlagsOffset = 13;  // of the TCP header, RFC 9293 section 3.1
constexpr unsigned kSyn = TH_SYN;
constexpr unsigned kSynAndAck = TH_SYN | TH_ACK;
constexpr unsigned kWholePacket = 0xffffffff;

}  // namespace

bool drop_new_handshakes(int listening_fd) {
  int protocol = 0;
  socklen_t length = sizeof protocol;
  if (::getsockopt(listening_fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) != 0 ||
      protocol != IPPROTO_TCP) {
    return false;
  }
  std::array<sock_filter, 5> code{{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlagsOffset),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSynAndAck),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, kWholePacket),
  }};
  const sock_fprog program{.len = code.size(), .filter = code.data()};
  return ::setsockopt(listening_fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

}  // namespace baton::proxy

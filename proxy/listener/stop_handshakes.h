// The first step of closing a listening TCP socket without resetting anybody: no new handshake
// begins on it, while those in progress still end in its queue. The socket is bound to an interface
// that does not exist, so that the kernel finds it for no SYN any more: who comes now gets another
// socket of that address, or is refused as by the closed port. For good: it takes privileges to
// unbind it. A socket filter (SO_ATTACH_FILTER) would do as well, but kernels want CAP_NET_ADMIN
// for one. Source: socket(7) SO_BINDTODEVICE. Thread: any; the binding belongs to the open file, so
// it holds for every process that has it.
#pragma once

namespace baton::proxy {

// False: not a TCP socket, or the kernel refuses; the socket is as it was.
bool stop_new_handshakes(int listening_fd);

}  // namespace baton::proxy

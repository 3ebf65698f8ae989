// The first step of closing a listening socket without resetting anybody: nobody new comes into its
// queue, which can still be accepted. A unix socket has no handshakes, a client is in the queue or
// it is not: shut down for reading, it refuses whoever comes. On a TCP socket no new handshake
// begins, while those in progress still end in its queue: it is bound to an interface that does not
// exist, so that the kernel finds it for no SYN any more; who comes now gets another socket of that
// address, or is refused as by the closed port. For good: it takes privileges to unbind it. A
// socket filter (SO_ATTACH_FILTER) would do as well, but kernels want CAP_NET_ADMIN for one.
// Source: unix(7), shutdown(2), socket(7) SO_BINDTODEVICE. Thread: any; both belong to the open
// file, so they hold for every process that has it.
#pragma once

namespace baton::proxy {

// True: handshakes that have begun are to be waited for. False: there are none, or the kernel
// refuses.
bool stop_new_handshakes(int listening_fd);

}  // namespace baton::proxy

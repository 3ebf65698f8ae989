// The first step of closing a listening TCP socket without resetting anybody: no new handshake
// begins on it, while those in progress still end in its queue. A client that comes now sends its
// SYN again (after a second, as a rule) and is then refused by the closed port. Source: socket(7)
// SO_ATTACH_FILTER; a socket filter of a TCP socket sees the TCP header at offset 0. Thread: any;
// the filter belongs to the open file, so it holds for every process that has it.
#pragma once

namespace baton::proxy {

// False: not a TCP socket, or the kernel refuses; the socket is as it was.
bool drop_new_handshakes(int listening_fd);

}  // namespace baton::proxy

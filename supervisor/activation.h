// Socket activation: sockets that the service manager listens on for us go into the escrow, from
// which the first generation takes those that its listeners want, as from a generation before it.
//
// They are used as they are: one socket for an address that several workers serve is shared by
// them, where the kernel lets nobody but the owner of a socket add one to it.
// Thread: the supervisor's, before the first generation. Source: systemd.socket(5), daemon(7).
#pragma once

#include <vector>

#include "supervisor/escrow.h"
#include "supervisor/inherited_fds.h"

namespace baton::supervisor {

// What no listener could use (no socket, one that does not listen, a kind that Baton does not know)
// is closed, with a warning that names it.
void adopt_activated(Escrow& escrow, std::vector<InheritedFd> fds);

}  // namespace baton::supervisor

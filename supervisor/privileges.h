// What the supervisor gives up once it runs, for itself and for all that it starts: the control
// socket has its owner and group by then.
// Thread: main, before it starts a program. Source: capabilities(7), PR_SET_NO_NEW_PRIVS in
// prctl(2).
#pragma once

namespace baton::supervisor {

// New privileges, and all capabilities but three, of which it keeps those that it has:
//   CAP_NET_BIND_SERVICE  generations bind ports below 1024
//   CAP_DAC_OVERRIDE      root's: configurations, logs and sockets that belong to other users
//   CAP_SYS_PTRACE        root's: a generation that finds an address taken says by whom
// A generation has these while it starts. The next supervisor (`upgrade`) has them, too, so what it
// may come to need is among them. What cannot be given up is logged.
void give_up_privileges();

}  // namespace baton::supervisor

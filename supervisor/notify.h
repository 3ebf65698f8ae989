// Tells the service manager about this process; without one ($NOTIFY_SOCKET unset) does nothing.
//
// The protocol is one datagram, so this speaks it directly: the library would bring half a dozen
// others into a process that is to stay small.
// Thread: any; stateless. Source: sd_notify(3).
#pragma once

#include <string>
#include <string_view>

namespace baton::supervisor {

// `lines`: "READY=1\nSTATUS=generation 1 serves". False: there is nobody to tell, or it failed.
bool notify(std::string_view lines);

// The value of MONOTONIC_USEC=, which goes with RELOADING=1.
std::string monotonic_microseconds();

}  // namespace baton::supervisor

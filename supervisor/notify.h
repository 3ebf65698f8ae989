// One message to the service manager (sd_notify); without one ($NOTIFY_SOCKET unset) nothing is
// done, successfully.
//
// The protocol is one datagram, so this speaks it directly: the library would bring half a dozen
// others into a process that is to stay small.
// Thread: any; stateless. Source: sd_notify(3).
#pragma once

#include <string_view>

#include "shared/os/error.h"

namespace baton::supervisor {

bool has_service_manager();

// `lines`: "READY=1\nSTATUS=generation 1 in charge". Never blocks: EAGAIN means that the manager is
// busy, anything else that it cannot be told.
// `fd`, if not -1, goes with the message.
os::Result<void> notify(std::string_view lines, int fd = -1);

}  // namespace baton::supervisor

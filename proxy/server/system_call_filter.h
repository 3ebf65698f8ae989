// What this process may ask of the kernel from now on, for good: to carry traffic, to write logs,
// to start threads. Not: to run or to trace a program, to become another user, to make memory
// executable. A proxy that somebody has taken over is of little use to him then.
//
// It is an allow list, and what is not on it fails with ENOSYS, as on a kernel that does not have
// it: libraries know how to do without, so a newer one does not break. What is asked for with every
// request is allowed whatever its arguments, which the kernel (5.11 on) then remembers in a bitmap
// instead of running the filter.
//
// Thread: main, before any other. Source: seccomp(2), PR_SET_NO_NEW_PRIVS in prctl(2),
// "Seccomp filter" in the kernel's documentation.
#pragma once

#include "shared/os/error.h"

namespace baton::proxy {

// Gives up new privileges, then restricts the calls, unless this build does without: by the meson
// option `seccomp`, or with a sanitizer, which needs more. On failure (a kernel without seccomp)
// the process is as able as before.
os::Result<void> restrict_system_calls();

}  // namespace baton::proxy

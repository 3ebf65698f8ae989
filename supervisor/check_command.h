// `check`: lets a proxy binary judge a configuration. Needs no running supervisor.
// Thread: main.
#pragma once

#include "supervisor/command_line.h"

namespace baton::supervisor {

// 0 good, 2 bad; the binary prints every mistake on standard error.
int check_command(const CommandLine& line);

}  // namespace baton::supervisor

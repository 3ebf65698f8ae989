// `run`: becomes the supervisor until told to stop.
// Thread: main.
#pragma once

#include "supervisor/command_line.h"

namespace baton::supervisor {

int run_command(const CommandLine& line);

}  // namespace baton::supervisor

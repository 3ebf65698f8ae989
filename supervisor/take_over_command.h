// `take-over`: what a supervisor runs its successor as, with its state in a sealed memory file.
// With
// --check, as a child: says whether it could (take_over_check.h). Without, in place of itself.
// Thread: main.
#pragma once

#include "supervisor/command_line.h"

namespace baton::supervisor {

int take_over_command(const CommandLine& line);

}  // namespace baton::supervisor

// The commands that ask a running supervisor. Each prints what there is to say and returns the exit
// status. Ending one early (Ctrl-C) does not undo what it asked for.
// Thread: main.
#pragma once

#include "supervisor/command_line.h"

namespace baton::supervisor {

int reload_command(const CommandLine& line);  // and rollback
int drain_command(const CommandLine& line);
int status_command(const CommandLine& line);
int stats_command(const CommandLine& line);
int upgrade_command(const CommandLine& line);
int stop_command(const CommandLine& line);

}  // namespace baton::supervisor

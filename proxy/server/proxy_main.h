// The program `proxy`: parses the command line and runs one of its modes. Tests build variants of
// the program by calling this with another BuildInfo.
#pragma once

#include "proxy/server/build_info.h"

namespace baton::proxy {

// Exit status: 0 done, 1 failed, 2 wrong usage or bad configuration.
int proxy_main(int argc, char** argv, const BuildInfo& build);

}  // namespace baton::proxy

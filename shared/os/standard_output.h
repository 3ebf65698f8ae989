// What a program says to whoever has called it.
// Thread: any.
#pragma once

#include <string_view>

namespace baton::os {

// False: not all of the text has arrived where standard output goes, and standard error says why,
// in the name of the program.
bool print(std::string_view program, std::string_view text);

}  // namespace baton::os

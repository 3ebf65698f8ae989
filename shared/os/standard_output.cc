#include "shared/os/standard_output.h"

#include <cerrno>
#include <cstdio>
#include <string>

#include "shared/os/error.h"

namespace baton::os {

bool print(std::string_view program, std::string_view text) {
  std::clearerr(stdout);
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (std::fflush(stdout) == 0 && written) return true;
  const std::string reason = error_text(errno);
  std::fprintf(stderr, "%.*s: cannot write the answer: %s\n", static_cast<int>(program.size()),
               program.data(), reason.c_str());
  return false;
}

}  // namespace baton::os

#include "shared/os/format.h"

#include <fmt/format.h>

namespace baton::os {

std::string vformat(fmt::string_view format, fmt::format_args args) {
  return fmt::vformat(format, args);
}

}  // namespace baton::os

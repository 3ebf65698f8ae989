#include "shared/os/error.h"

#include <cerrno>
#include <cstring>

namespace baton::os {

std::string error_text(int code) {
  const char* const text = ::strerrordesc_np(code);
  return text != nullptr ? text : "Unknown error " + std::to_string(code);
}

std::string Error::text() const {
  std::string line = operation;
  if (!object.empty()) line += (line.empty() ? "" : " ") + object;
  if (code != 0) line += ": " + error_text(code);
  return line;
}

std::unexpected<Error> errno_error(std::string operation, std::string object) {
  return std::unexpected(Error{errno, std::move(operation), std::move(object)});
}

std::unexpected<Error> plain_error(std::string operation, std::string object) {
  return std::unexpected(Error{0, std::move(operation), std::move(object)});
}

}  // namespace baton::os

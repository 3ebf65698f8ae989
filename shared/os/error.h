// The error of a cold call: which operation failed, on what, and why. Hot paths do not use it.
// Thread: none; plain values.
#pragma once

#include <expected>
#include <string>

namespace baton::os {

struct Error {
  int code = 0;           // errno, or 0 when the operation says it all
  std::string operation;  // "bind", "not an ELF program"
  std::string object;     // "127.0.0.1:80"; may be empty

  // One line for a user: "bind 127.0.0.1:80: Address already in use".
  std::string text() const;
};

// What an errno means: "Address already in use". Needs no descriptor and no locale: what is
// reported may be that there are none left. Thread: any.
std::string error_text(int code);

template <class T>
using Result = std::expected<T, Error>;

// The error of a system call that has just failed; reads errno.
std::unexpected<Error> errno_error(std::string operation, std::string object = {});
// An error that no errno describes.
std::unexpected<Error> plain_error(std::string operation, std::string object = {});

}  // namespace baton::os

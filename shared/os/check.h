// Always-on check for bugs of this program, and only for those: never for what a peer,
// the kernel or a file does. Prints the condition and aborts.
#pragma once

#include <cstdio>
#include <cstdlib>

#define BATON_CHECK(condition)                                                           \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

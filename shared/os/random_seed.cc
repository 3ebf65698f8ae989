#include "shared/os/random_seed.h"

#include <sys/random.h>

#include <random>

namespace baton::os {

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  // So few bytes come whole, once the kernel has any.
  if (::getrandom(&seed, sizeof(seed), 0) == sizeof(seed)) return seed;
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace baton::os

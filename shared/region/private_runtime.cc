#include "shared/region/private_runtime.h"

#include <sys/mman.h>

namespace baton::region {

os::Result<std::unique_ptr<PrivateRuntime>> PrivateRuntime::create(const Geometry& geometry) {
  void* const address = ::mmap(nullptr, geometry.runtime_bytes(), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return os::errno_error("map", "private runtime state");
  ::madvise(address, geometry.runtime_bytes(), MADV_NOHUGEPAGE);
  std::unique_ptr<PrivateRuntime> runtime(
      new PrivateRuntime(static_cast<std::byte*>(address), geometry));
  if (auto made = runtime->lock_.initialize(); !made) return std::unexpected(made.error());
  return runtime;
}

PrivateRuntime::PrivateRuntime(std::byte* address, const Geometry& geometry)
    : address_(address),
      bytes_(geometry.runtime_bytes()),
      memory_(RuntimeMemory::at(address, geometry)),
      lock_(&memory_.header->lock, RobustLock::WhenUnrecoverable::Reset),
      endpoints_(memory_, &lock_),
      rate_buckets_(memory_) {}

PrivateRuntime::~PrivateRuntime() { ::munmap(address_, bytes_); }

}  // namespace baton::region

// The runtime part in the memory of one process: for a proxy without a region, one whose region has
// another layout, and what finds no room there. Same classes, same behaviour, nobody to share with.
//
// Thread: any. Owns: an anonymous mapping, sparse like the region's.
#pragma once

#include <memory>

#include "shared/os/error.h"
#include "shared/region/endpoint_table.h"
#include "shared/region/rate_buckets.h"
#include "shared/region/robust_lock.h"

namespace baton::region {

class PrivateRuntime {
 public:
  static os::Result<std::unique_ptr<PrivateRuntime>> create(const Geometry& geometry = {});
  ~PrivateRuntime();
  PrivateRuntime(const PrivateRuntime&) = delete;
  PrivateRuntime& operator=(const PrivateRuntime&) = delete;

  EndpointTable& endpoints() { return endpoints_; }
  RateBuckets& rate_buckets() { return rate_buckets_; }

 private:
  PrivateRuntime(std::byte* address, const Geometry& geometry);

  std::byte* address_;
  std::size_t bytes_;
  RuntimeMemory memory_;
  RobustLock lock_;
  EndpointTable endpoints_;
  RateBuckets rate_buckets_;
};

}  // namespace baton::region

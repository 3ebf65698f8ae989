// The memory that the supervisor and all generations share: who runs, what is counted, the counts,
// endpoints' health and rate limits. Made by the supervisor, passed to each generation as a memfd.
//
// Thread: any; an object is made once a process and outlives its lanes. Owns: the memfd and its
// mapping. Never named in a file system: it is gone with the last process that holds it.
// Invariant: size and seals, magic, layout and geometry were checked before anything else was read;
// nothing in the memory can lead out of its bounds.
#pragma once

#include <boost/interprocess/mapped_region.hpp>

#include <cstdint>
#include <memory>

#include "shared/os/error.h"
#include "shared/os/unique_fd.h"
#include "shared/region/directory.h"
#include "shared/region/endpoint_table.h"
#include "shared/region/generation_table.h"
#include "shared/region/lane.h"
#include "shared/region/lane_table.h"
#include "shared/region/layout.h"
#include "shared/region/rate_buckets.h"
#include "shared/region/robust_lock.h"

namespace baton::region {

// Who maps it. The supervisor resets a lock that nobody can take any more; there is one of it.
enum class Role { Supervisor, Generation };

struct RegionOptions {
  std::uint64_t layout = kLayoutVersion;
  Geometry geometry;
};

struct AttachOptions {
  std::uint64_t layout = kLayoutVersion;  // the one this program was built for
  Role role = Role::Generation;
};

class Region {
 public:
  // A new one, empty but for the gauge of held connections; the caller is the supervisor.
  static os::Result<std::unique_ptr<Region>> create(const RegionOptions& options = {});
  // Maps what another process made. Errors, each in plain words: not a memfd that is sealed against
  // resizing, not a region, another layout, sizes that do not add up. The fd is closed on failure.
  static os::Result<std::unique_ptr<Region>> attach(os::UniqueFd fd,
                                                    const AttachOptions& options = {});

  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  int fd() const { return fd_.get(); }
  GenerationTable& generations() { return generations_; }
  const GenerationTable& generations() const { return generations_; }
  Directory& directory() { return directory_; }
  const LaneTable& lanes() const { return lanes_; }
  EndpointTable& endpoints() { return endpoints_; }
  RateBuckets& rate_buckets() { return rate_buckets_; }

  // A free lane for a thread of this process, which is in `slot`; `index` tells its threads apart.
  // The supervisor's slot has one lane, lane 0; one that attaches after its predecessor's death
  // calls reclaim_dead(kSupervisorSlot) before. Error: all lanes are taken.
  os::Result<Lane> claim_lane(std::uint32_t slot, std::uint32_t index);
  // Connections the generation of `slot` holds now.
  std::uint64_t connections_of(std::uint32_t slot) const;

  // The supervisor's duties when the process of `slot` has ended. reclaim_dead(): at once; zeroes
  // what its gauges counted and frees its lanes. forget(): once its metrics need not survive it
  // (its successor has asked for those that go on); lets go of them and of its endpoints, and frees
  // the slot. Both
  // may be repeated; on error (no lock) nothing is changed.
  os::Result<void> reclaim_dead(std::uint32_t slot);
  os::Result<void> forget(std::uint32_t slot);

 private:
  friend class Lane;

  Region(os::UniqueFd fd, boost::interprocess::mapped_region mapping, const Geometry& geometry,
         Role role);
  static os::Result<std::unique_ptr<Region>> map(os::UniqueFd fd, const Geometry& geometry,
                                                 Role role);
  os::Result<void> initialize(const RegionOptions& options);
  void release_lane(std::uint32_t lane);

  os::UniqueFd fd_;
  boost::interprocess::mapped_region mapping_;
  Memory memory_;
  RobustLock lock_;
  RobustLock runtime_lock_;
  GenerationTable generations_;
  LaneTable lanes_;
  Directory directory_;
  EndpointTable endpoints_;
  RateBuckets rate_buckets_;
};

}  // namespace baton::region

#include "shared/region/region.h"

#include <boost/interprocess/exceptions.hpp>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "shared/region/sample.h"

namespace baton::region {
namespace {

namespace ipc = boost::interprocess;

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr char kObject[] = "region";

std::string beyond_file_limit(std::uint64_t bytes) {
  return std::string(kObject) + " to " + std::to_string(bytes) +
         " bytes, more than RLIMIT_FSIZE lets a file have";
}

// A memfd as Boost.Interprocess's "memory mappable"; it has none of its own. Borrows the fd.
class MappableMemfd {
 public:
  explicit MappableMemfd(int fd) : fd_(fd) {}
  ipc::mapping_handle_t get_mapping_handle() const {
    return ipc::ipcdetail::mapping_handle_from_file_handle(fd_);
  }
  ipc::mode_t get_mode() const { return ipc::read_write; }

 private:
  int fd_;
};

std::uint64_t checksum_of(const Header& header) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(&header);
  for (std::size_t i = 0; i < offsetof(Header, checksum); ++i) {
    hash = (hash ^ bytes[i]) * 0x100000001b3;
  }
  return hash;
}

os::Result<std::size_t> sealed_size(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return os::errno_error("get seals of", kObject);
  // Unsealed, another process could truncate it, and the next access here would be a SIGBUS.
  if ((seals & kSeals) != kSeals) return os::plain_error("region is not sealed against resizing");
  struct stat status{};
  if (::fstat(fd, &status) != 0) return os::errno_error("stat", kObject);
  return static_cast<std::size_t>(status.st_size);
}

// Checks everything that does not change after create(), before anything is mapped.
os::Result<Geometry> read_geometry(int fd, std::uint64_t layout) {
  const auto size = sealed_size(fd);
  if (!size) return std::unexpected(size.error());
  Header header{};
  constexpr std::size_t kConstantPart = offsetof(Header, entries_used);
  const ssize_t count = ::pread(fd, static_cast<void*>(&header), kConstantPart, 0);
  if (count < 0) return os::errno_error("read", kObject);
  if (static_cast<std::size_t>(count) < kConstantPart || header.magic != kMagic) {
    return os::plain_error("not a region");
  }
  if (header.layout_version != layout) {
    return os::plain_error("region has layout " + std::to_string(header.layout_version) +
                           ", this program uses " + std::to_string(layout));
  }
  const Geometry geometry{.lanes = header.lanes,
                          .cells_per_lane = header.cells_per_lane,
                          .entries = header.entries,
                          .endpoints = header.endpoints,
                          .buckets = header.buckets};
  if (header.checksum != checksum_of(header) || !geometry.valid() || header.slots != kSlots ||
      header.histogram_cells != kHistogramCells || header.lock_bytes != sizeof(pthread_mutex_t) ||
      header.total_bytes != *size || geometry.total_bytes() != *size) {
    return os::plain_error("region is damaged: its header does not add up");
  }
  return geometry;
}

}  // namespace

os::Result<std::unique_ptr<Region>> Region::create(const RegionOptions& options) {
  if (!options.geometry.valid()) return os::plain_error("region sizes out of range");
  os::UniqueFd fd(::memfd_create("baton-region", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return os::errno_error("memfd_create", kObject);
  const std::uint64_t bytes = options.geometry.total_bytes();
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return os::errno_error("size", errno == EFBIG ? beyond_file_limit(bytes) : kObject);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return os::errno_error("seal", kObject);
  auto region = map(std::move(fd), options.geometry, Role::Supervisor);
  if (!region) return region;
  if (auto done = (*region)->initialize(options); !done) return std::unexpected(done.error());
  return region;
}

os::Result<std::unique_ptr<Region>> Region::attach(os::UniqueFd fd, const AttachOptions& options) {
  const auto geometry = read_geometry(fd.get(), options.layout);
  if (!geometry) return std::unexpected(geometry.error());
  auto region = map(std::move(fd), *geometry, options.role);
  if (region && !((*region)->lock_.plausible() && (*region)->runtime_lock_.plausible())) {
    return os::plain_error("region is damaged: its lock is none");
  }
  return region;
}

os::Result<std::unique_ptr<Region>> Region::map(os::UniqueFd fd, const Geometry& geometry,
                                                Role role) {
  try {
    const MappableMemfd memfd(fd.get());
    ipc::mapped_region mapping(memfd, ipc::read_write, 0, geometry.total_bytes());
    // A core dump must not fill up the memory that is sparse here, nor khugepaged do.
    ::madvise(mapping.get_address(), mapping.get_size(), MADV_DONTDUMP);
    ::madvise(mapping.get_address(), mapping.get_size(), MADV_NOHUGEPAGE);
    return std::unique_ptr<Region>(new Region(std::move(fd), std::move(mapping), geometry, role));
  } catch (const ipc::interprocess_exception& error) {
    return std::unexpected(os::Error{error.get_native_error(), "map", kObject});
  }
}

namespace {

RobustLock::WhenUnrecoverable duty_of(Role role) {
  return role == Role::Supervisor ? RobustLock::WhenUnrecoverable::Reset
                                  : RobustLock::WhenUnrecoverable::Fail;
}

}  // namespace

Region::Region(os::UniqueFd fd, ipc::mapped_region mapping, const Geometry& geometry, Role role)
    : fd_(std::move(fd)),
      mapping_(std::move(mapping)),
      memory_(Memory::at(mapping_.get_address(), geometry)),
      lock_(&memory_.header->directory_lock, duty_of(role)),
      runtime_lock_(&memory_.runtime.header->lock, duty_of(role)),
      generations_(memory_),
      lanes_(memory_),
      directory_(memory_, &lanes_, &lock_),
      endpoints_(memory_.runtime, &runtime_lock_),
      rate_buckets_(memory_.runtime) {}

os::Result<void> Region::initialize(const RegionOptions& options) {
  if (auto made = lock_.initialize(); !made) return made;
  if (auto made = runtime_lock_.initialize(); !made) return made;
  Header& header = *memory_.header;
  header.magic = kMagic;
  header.layout_version = options.layout;
  header.total_bytes = options.geometry.total_bytes();
  header.slots = kSlots;
  header.lanes = options.geometry.lanes;
  header.cells_per_lane = options.geometry.cells_per_lane;
  header.entries = options.geometry.entries;
  header.histogram_cells = kHistogramCells;
  header.lock_bytes = sizeof(pthread_mutex_t);
  header.endpoints = options.geometry.endpoints;
  header.buckets = options.geometry.buckets;
  header.checksum = checksum_of(header);
  // The first metric gets the first cell: kHeldCell.
  static_assert(kHeldCell == 0);
  const auto held = directory_.find_or_add(held_connections_metric(), kSupervisorSlot);
  if (!held) return std::unexpected(held.error());
  return {};
}

os::Result<Lane> Region::claim_lane(std::uint32_t slot, std::uint32_t index) {
  const auto lane = lanes_.claim(slot, static_cast<std::uint32_t>(::getpid()), index);
  if (!lane) return os::plain_error("every lane of the region is taken");
  return Lane(this, *lane);
}

std::uint64_t Region::connections_of(std::uint32_t slot) const {
  return lanes_.sum_of_slot(slot, kHeldCell);
}

os::Result<void> Region::reclaim_dead(std::uint32_t slot) {
  // No gauge can gain a value in these lanes after this list is made: their owner is dead.
  const auto gauges = directory_.gauge_cells();
  if (!gauges) return std::unexpected(gauges.error());
  lanes_.release_all(slot, *gauges);
  return {};
}

os::Result<void> Region::forget(std::uint32_t slot) {
  if (auto done = reclaim_dead(slot); !done) return done;
  if (auto done = directory_.release_user(slot); !done) return done;
  endpoints_.release_user(slot);
  generations_.release(slot);
  return {};
}

// Without the lock the lane stays taken; the supervisor frees it when this process has ended.
void Region::release_lane(std::uint32_t lane) {
  if (const auto gauges = directory_.gauge_cells()) lanes_.release(lane, *gauges);
}

}  // namespace baton::region

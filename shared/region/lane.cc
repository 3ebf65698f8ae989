#include "shared/region/lane.h"

#include "shared/region/region.h"

namespace baton::region {

Lane::~Lane() {
  if (region_ != nullptr) region_->release_lane(number_);
}

Gauge Lane::held() const { return gauge(kHeldCell); }

Cell* Lane::cells(std::uint32_t first_cell, std::uint32_t count) const {
  return region_->lanes_.cells(number_, first_cell, count);
}

}  // namespace baton::region

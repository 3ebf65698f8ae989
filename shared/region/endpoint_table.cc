#include "shared/region/endpoint_table.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "shared/os/check.h"
#include "shared/region/slots.h"

namespace baton::region {
namespace {

template <std::size_t N>
bool equals(const char (&stored)[N], std::string_view text) {
  return text.size() < N && std::memcmp(stored, text.data(), text.size()) == 0 &&
         stored[text.size()] == '\0';
}

void write(EndpointSlot& entry, std::uint32_t hash, std::string_view cluster,
           std::string_view address) {
  entry.hash = hash;
  entry.health.store(static_cast<std::uint32_t>(EndpointHealth::Unknown), kRelaxed);
  entry.ejected_until_ns.store(0, kRelaxed);
  entry.available_since_ns.store(0, kRelaxed);
  for (Atomic32* count : {&entry.consecutive_5xx, &entry.consecutive_connect_failures,
                          &entry.ejections, &entry.found, &entry.streak, &entry.check}) {
    count->store(0, kRelaxed);
  }
  store_text(entry.cluster, cluster);
  store_text(entry.address, address);
}

// Another process may have written it: no end is trusted.
std::string_view address_of(const EndpointSlot& entry) {
  return {entry.address, ::strnlen(entry.address, sizeof entry.address)};
}

}  // namespace

os::Result<EndpointSlot*> EndpointTable::find_or_add(std::string_view cluster,
                                                     std::string_view address, std::uint32_t slot) {
  BATON_CHECK(slot < kSlots);
  if (!fits(cluster, sizeof(EndpointSlot::cluster)) ||
      !fits(address, sizeof(EndpointSlot::address))) {
    return os::plain_error("too long for the region:", std::string(address));
  }
  const auto guard = lock_->acquire(kLockTimeout, [] {});
  if (!guard) return std::unexpected(guard.error());

  const std::uint32_t hash = hash_of_pair(cluster, '/', address);
  std::optional<std::uint32_t> place;
  for (std::uint32_t i = 0; i < used(); ++i) {
    EndpointSlot& entry = memory_.endpoints[i];
    if (entry.users.load(kRelaxed) == 0) {
      if (!place) place = i;
    } else if (is(i, hash, cluster, address)) {
      // Its last user may let go in between: then it is nobody's, and starts afresh below.
      if (entry.users.fetch_or(user_bit(slot), std::memory_order_acq_rel) != 0) return &entry;
      place = i;
      break;
    }
  }
  if (!place) {
    if (used() == memory_.endpoint_count) {
      return os::plain_error("the region has no room for another endpoint:", std::string(address));
    }
    place = used();
    memory_.header->endpoints_used.store(*place + 1, kRelaxed);
  }
  EndpointSlot& entry = memory_.endpoints[*place];
  write(entry, hash, cluster, address);
  entry.users.store(user_bit(slot), std::memory_order_release);
  return &entry;
}

os::Result<void> EndpointTable::set_found(std::string_view cluster, const FoundByAddress& found) {
  const auto guard = lock_->acquire(kLockTimeout, [] {});
  if (!guard) return std::unexpected(guard.error());
  for (std::uint32_t i = 0; i < used(); ++i) {
    EndpointSlot& entry = memory_.endpoints[i];
    if (!equals(entry.cluster, cluster)) continue;
    const auto share = found.find(address_of(entry));
    const std::uint32_t value =
        share == found.end() ? 0 : share->second.priority << 16U | share->second.weight;
    entry.found.store(value, kRelaxed);
  }
  return {};
}

os::Result<FoundByAddress> EndpointTable::found_of(std::string_view cluster, std::uint32_t slot) {
  const auto guard = lock_->acquire(kLockTimeout, [] {});
  if (!guard) return std::unexpected(guard.error());
  FoundByAddress found;
  for (std::uint32_t i = 0; i < used(); ++i) {
    const EndpointSlot& entry = memory_.endpoints[i];
    const bool by_others = (entry.users.load(std::memory_order_acquire) & ~user_bit(slot)) != 0;
    const std::uint32_t value = entry.found.load(kRelaxed);
    if (!by_others || (value & 0xffffU) == 0 || !equals(entry.cluster, cluster)) continue;
    found.try_emplace(std::string(address_of(entry)),
                      FoundShare{.weight = static_cast<std::uint16_t>(value & 0xffffU),
                                 .priority = static_cast<std::uint16_t>(value >> 16U)});
  }
  return found;
}

void EndpointTable::release(EndpointSlot& entry, std::uint32_t slot) {
  BATON_CHECK(slot < kSlots);
  entry.users.fetch_and(~user_bit(slot), std::memory_order_release);
}

void EndpointTable::release_user(std::uint32_t slot) {
  for (std::uint32_t i = 0; i < used(); ++i) release(memory_.endpoints[i], slot);
}

std::uint32_t EndpointTable::used() const {
  return std::min(memory_.header->endpoints_used.load(kRelaxed), memory_.endpoint_count);
}

bool EndpointTable::is(std::uint32_t index, std::uint32_t hash, std::string_view cluster,
                       std::string_view address) const {
  const EndpointSlot& entry = memory_.endpoints[index];
  return entry.hash == hash && equals(entry.cluster, cluster) && equals(entry.address, address);
}

}  // namespace baton::region

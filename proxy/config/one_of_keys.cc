#include "proxy/config/one_of_keys.h"

#include <string>
#include <vector>

#include "proxy/config/name_hint.h"

namespace baton::proxy {
namespace {

std::string listed(std::span<const std::string_view> keys) {
  const std::vector<std::string> names(keys.begin(), keys.end());
  return list_names(names, NameStyle::Plain);
}

std::vector<std::string_view> present(TableReader& section,
                                      std::span<const std::string_view> keys) {
  std::vector<std::string_view> there;
  for (const std::string_view key : keys) {
    if (section.has(key)) there.push_back(key);
  }
  return there;
}

}  // namespace

std::string_view at_most_one_of(TableReader& section, std::span<const std::string_view> keys) {
  const std::vector<std::string_view> there = present(section, keys);
  if (there.size() > 1) {
    section.error(there[1], "there is " + std::string(there[0]) + " already; allowed: one of " +
                                listed(keys));
  }
  return there.size() == 1 ? there[0] : std::string_view();
}

std::string_view exactly_one_of(TableReader& section, std::span<const std::string_view> keys) {
  if (present(section, keys).empty()) {
    section.error(keys[0], "is missing; allowed: one of " + listed(keys));
  }
  return at_most_one_of(section, keys);
}

}  // namespace baton::proxy

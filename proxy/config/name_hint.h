// Helps a user who has mistyped a name: the known one that is nearest to it, or a list of them all.
// Thread: any; pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace baton::proxy {

// The known name fewest typing slips away (a letter missing, added, replaced, or two swapped);
// nothing when none is near enough to be what was meant.
std::optional<std::string> nearest_name(std::string_view word, std::span<const std::string> known);

enum class NameStyle { Plain, Quoted };
// `"a", "b", "c"`; beyond kMostNamesListed "and 7 more".
inline constexpr std::size_t kMostNamesListed = 24;
std::string list_names(std::span<const std::string> names, NameStyle style);

}  // namespace baton::proxy

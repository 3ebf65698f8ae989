// Keys that exclude each other.
// Thread: main.
#pragma once

#include <span>
#include <string_view>

#include "proxy/config/table_reader.h"

namespace baton::proxy {

// The one that is there; empty: none, or more than one, which is recorded.
std::string_view at_most_one_of(TableReader& section, std::span<const std::string_view> keys);
// None is recorded, too.
std::string_view exactly_one_of(TableReader& section, std::span<const std::string_view> keys);

}  // namespace baton::proxy

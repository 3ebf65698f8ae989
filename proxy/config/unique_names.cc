#include "proxy/config/unique_names.h"

#include <algorithm>

#include "proxy/config/in_quotes.h"

namespace baton::proxy {
namespace {

bool well_formed(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

}  // namespace

std::string UniqueNames::take(TableReader& section) {
  section.require("name", kSyntax);
  const auto name = section.string("name");
  if (!name) return {};
  if (!well_formed(*name)) {
    section.error("name", in_quotes(*name) + " cannot be a name; allowed: " + std::string(kSyntax));
    return {};
  }
  const auto [first, added] = line_of_.emplace(*name, section.line("name"));
  if (!added) {
    section.error("name", in_quotes(*name) + " is taken already, on line " +
                              std::to_string(first->second) + "; allowed: a name of its own");
    return *name;
  }
  names_.push_back(*name);
  return *name;
}

}  // namespace baton::proxy

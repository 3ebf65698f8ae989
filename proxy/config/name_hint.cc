#include "proxy/config/name_hint.h"

#include <algorithm>
#include <array>

#include "proxy/config/in_quotes.h"

namespace baton::proxy {
namespace {

constexpr std::size_t kLongestWord = 64;

// Optimal string alignment distance, by three rows of the usual table.
std::size_t typing_slips(std::string_view a, std::string_view b) {
  using Row = std::array<std::size_t, kLongestWord + 1>;
  Row before_last{}, last{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

std::optional<std::string> nearest_name(std::string_view word, std::span<const std::string> known) {
  if (word.size() > kLongestWord) return std::nullopt;
  std::optional<std::string> nearest;
  std::size_t fewest = std::clamp<std::size_t>(word.size() / 3, 1, 3) + 1;
  for (const std::string& name : known) {
    if (name.size() > kLongestWord) continue;
    const std::size_t slips = typing_slips(word, name);
    if (slips >= fewest || slips >= name.size()) continue;
    fewest = slips;
    nearest = name;
  }
  return nearest;
}

std::string list_names(std::span<const std::string> names, NameStyle style) {
  std::string list;
  for (const std::string& name : names.first(std::min(names.size(), kMostNamesListed))) {
    if (!list.empty()) list += ", ";
    list += style == NameStyle::Quoted ? in_quotes(name) : name;
  }
  if (names.size() > kMostNamesListed) {
    list += " and " + std::to_string(names.size() - kMostNamesListed) + " more";
  }
  return list;
}

}  // namespace baton::proxy

// The names of one kind of section: well-formed, so that they can be a metric's label, a log's word
// and a file's name, and each used once.
// Thread: main.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proxy/config/table_reader.h"

namespace baton::proxy {

class UniqueNames {
 public:
  static constexpr std::string_view kSyntax = "1 to 64 letters, digits, '_', '.' and '-'";

  // Reads the `name` of a section. Empty: it has none that can be used; recorded.
  std::string take(TableReader& section);
  // Those taken, in the order of the file.
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::uint32_t> line_of_;
};

}  // namespace baton::proxy

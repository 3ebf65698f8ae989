#include "proxy/text/variables.h"

#include <algorithm>

namespace baton::proxy {

std::string replace_variables(std::string_view text, std::span<const Variable> variables) {
  std::string result;
  while (!text.empty()) {
    const auto found = std::ranges::find_if(
        variables, [text](const Variable& variable) { return text.starts_with(variable.name); });
    if (found != variables.end()) {
      result += found->value;
      text.remove_prefix(found->name.size());
      continue;
    }
    const std::size_t end = std::min(text.find('%', 1), text.size());
    result += text.substr(0, end);
    text.remove_prefix(end);
  }
  return result;
}

std::string replace_process_variables(std::string_view text, std::uint64_t generation,
                                      std::string_view version) {
  const std::string number = std::to_string(generation);
  const Variable variables[] = {{.name = "%GENERATION%", .value = number},
                                {.name = "%VERSION%", .value = version}};
  return replace_variables(text, variables);
}

}  // namespace baton::proxy

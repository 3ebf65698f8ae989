// Variables in texts of the configuration: "generation %GENERATION%".
// Thread: any; pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace baton::proxy {

struct Variable {
  std::string_view name;  // with its percent signs
  std::string_view value;
};

// `text` with each variable replaced. A value is not looked into again, and what looks like a
// variable but is none stays.
std::string replace_variables(std::string_view text, std::span<const Variable> variables);

// %GENERATION% and %VERSION%: what a text may say of the process that sends it.
std::string replace_process_variables(std::string_view text, std::uint64_t generation,
                                      std::string_view version);

}  // namespace baton::proxy

// A compiled regular expression of a configuration. Matching takes time linear in the text,
// whatever the pattern: it may be let loose on what clients send. Thread: any; immutable, copies
// share one program. Source: RE2's syntax, github.com/google/re2/wiki/Syntax.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace baton::proxy::http {

class Regex {
 public:
  // The error is what is wrong, for a user.
  static std::expected<Regex, std::string> compile(std::string_view pattern);

  // All of `text` matches, not a part of it.
  bool matches(std::string_view text) const;
  // `text` with every match replaced; \0 to \9 stand for the match and its groups. Precondition:
  // check_substitution(substitution) is empty.
  std::string replaced(std::string_view text, std::string_view substitution) const;
  // What is wrong with a substitution, for a user; empty: nothing.
  std::string check_substitution(std::string_view substitution) const;

 private:
  explicit Regex(std::shared_ptr<const re2::RE2> program) : program_(std::move(program)) {}

  std::shared_ptr<const re2::RE2> program_;
};

}  // namespace baton::proxy::http

#include "proxy/http/route/regex.h"

#include <re2/re2.h>

namespace baton::proxy::http {
namespace {

// Bytes, not UTF-8: header values may hold anything, and must not fail to match for that.
re2::RE2::Options options() {
  re2::RE2::Options options(re2::RE2::Latin1);
  options.set_log_errors(false);
  return options;
}

}  // namespace

std::expected<Regex, std::string> Regex::compile(std::string_view pattern) {
  auto program = std::make_shared<const re2::RE2>(pattern, options());
  if (!program->ok()) return std::unexpected(program->error());
  return Regex(std::move(program));
}

bool Regex::matches(std::string_view text) const { return re2::RE2::FullMatch(text, *program_); }

std::string Regex::replaced(std::string_view text, std::string_view substitution) const {
  std::string result(text);
  re2::RE2::GlobalReplace(&result, *program_, substitution);
  return result;
}

std::string Regex::check_substitution(std::string_view substitution) const {
  std::string error;
  program_->CheckRewriteString(substitution, &error);
  return error;
}

}  // namespace baton::proxy::http

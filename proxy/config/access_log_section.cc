#include "proxy/config/access_log_section.h"

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/in_quotes.h"
#include "proxy/config/one_of_keys.h"
#include "proxy/http/access_log/access_log_format.h"
#include "proxy/http/codec/characters.h"

namespace baton::proxy {
namespace {

using http::AccessLogFormat;

constexpr std::string_view kNone = "none";
constexpr std::string_view kPathSyntax = R"("/path/to/file", "stdout", "none")";

std::string read_log_path(TableReader& section) {
  section.require("path", kPathSyntax);
  const auto text = section.string("path");
  if (!text || *text == kNone || *text == http::AccessLogConfig::kStdout) return text.value_or("");
  // It is a metric's label, too.
  if (!text->starts_with('/') || text->ends_with('/') || !http::is_value(*text)) {
    section.error("path", in_quotes(*text) + " is not an absolute path of a file; allowed: " +
                              std::string(kPathSyntax));
  }
  return std::filesystem::path(*text).lexically_normal();
}

std::vector<AccessLogFormat::Field> read_fields(TableReader& section) {
  std::vector<AccessLogFormat::Field> fields;
  auto table = section.table("json");
  if (!table) return fields;
  for (const std::string& name : table->keys()) {
    auto text = table->string(name);
    if (!text) continue;
    // One by one, so that a mistake is told where it is.
    if (const auto alone = AccessLogFormat::json({{name, *text}}); !alone) {
      table->error(name, in_quotes(*text) + " " + alone.error());
      continue;
    }
    fields.emplace_back(name, *std::move(text));
  }
  return fields;
}

std::optional<AccessLogFormat> read_format(TableReader& section) {
  constexpr std::array<std::string_view, 2> kFormats{"format", "json"};
  at_most_one_of(section, kFormats);
  const auto text = section.string("format");
  const auto fields = read_fields(section);
  if (section.has("json")) return AccessLogFormat::json(fields).value();
  auto format = AccessLogFormat::text(text.value_or(std::string(AccessLogFormat::kDefault)));
  if (!format) {
    section.error("format", in_quotes(*text) + " " + format.error());
    return std::nullopt;
  }
  return *std::move(format);
}

}  // namespace

std::optional<http::AccessLogConfig> read_access_log(TableReader& listener) {
  auto section = listener.table("access_log");
  if (!section) return std::nullopt;
  http::AccessLogConfig config{.path = read_log_path(*section)};
  auto format = read_format(*section);
  section->finish();
  if (config.path == kNone || !format) return std::nullopt;
  config.format = std::make_shared<const AccessLogFormat>(*std::move(format));
  return config;
}

}  // namespace baton::proxy

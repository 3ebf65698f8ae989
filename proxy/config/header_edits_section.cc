#include "proxy/config/header_edits_section.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/in_quotes.h"
#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/header_field.h"
#include "proxy/http/codec/header_id.h"

namespace baton::proxy {
namespace {

// Why a line cannot be edited; empty: it can. Where a message ends, and for whom it is, has one
// source only.
std::string_view why_not(std::string_view name, EditedHead head) {
  if (!http::is_token(name) || name.size() > http::HeaderField::kMaxNameBytes) {
    return "is not the name of a header; allowed: letters, digits and any of !#$%&'*+-.^_`|~";
  }
  const http::HeaderId id = http::find_header_id(name);
  if (http::kHopByHop.has(id) || id == http::HeaderId::ContentLength ||
      id == http::HeaderId::Trailer) {
    return "says where a message or connection ends, and is the proxy's own; allowed: other names";
  }
  if (head == EditedHead::Request && id == http::HeaderId::Host) {
    return "is not edited here; allowed: host_rewrite";
  }
  if (head == EditedHead::Request && id == http::HeaderId::Expect) {
    return "is the proxy's own; allowed: other names";
  }
  return {};
}

// "%SOMETHING%" that is no variable; empty: none.
std::string_view unknown_variable(std::string_view value) {
  const auto is_part = [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; };
  for (std::size_t begin = value.find('%'); begin != value.npos;
       begin = value.find('%', begin + 1)) {
    const std::size_t end = value.find('%', begin + 1);
    if (end == value.npos) return {};
    const std::string_view name = value.substr(begin + 1, end - begin - 1);
    if (name.empty() || !std::ranges::all_of(name, is_part)) continue;
    const std::string_view variable = value.substr(begin, end - begin + 1);
    if (!http::names_variables(variable)) return variable;
    begin = end;
  }
  return {};
}

std::optional<http::HeaderEdit> read_edit(TableReader& table, const std::string& name,
                                          EditedHead head) {
  const auto value = table.string(name);
  if (const std::string_view reason = why_not(name, head); !reason.empty()) {
    table.error(name, in_quotes(name) + " " + std::string(reason));
    return std::nullopt;
  }
  if (!value) return std::nullopt;
  if (!http::is_value(*value)) {
    table.error(name, in_quotes(*value) + " has a control character; allowed: one line of text");
    return std::nullopt;
  }
  if (const std::string_view variable = unknown_variable(*value); !variable.empty()) {
    table.error(
        name, in_quotes(variable) + " is not a variable; allowed: %CLIENT_ADDRESS%, %GENERATION%");
    return std::nullopt;
  }
  return http::HeaderEdit{
      .name = name, .value = *value, .has_variables = http::names_variables(*value)};
}

std::vector<http::HeaderEdit> read_table(TableReader& section, std::string_view key,
                                         EditedHead head) {
  std::vector<http::HeaderEdit> edits;
  auto table = section.table(key);
  if (!table) return edits;
  for (const std::string& name : table->keys()) {
    if (auto edit = read_edit(*table, name, head)) edits.push_back(*std::move(edit));
  }
  return edits;
}

}  // namespace

http::HeaderEdits read_header_edits(TableReader& section, std::string_view key, EditedHead head) {
  http::HeaderEdits edits;
  auto table = section.table(key);
  if (!table) return edits;
  edits.set = read_table(*table, "set", head);
  edits.add = read_table(*table, "add", head);
  edits.remove = table->strings("remove").value_or(std::vector<std::string>());
  for (std::size_t i = 0; i < edits.remove.size(); ++i) {
    const std::string_view reason = why_not(edits.remove[i], head);
    if (reason.empty()) continue;
    table->element_error("remove", i, in_quotes(edits.remove[i]) + " " + std::string(reason));
  }
  table->finish();
  return edits;
}

}  // namespace baton::proxy

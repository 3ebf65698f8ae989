#include "proxy/config/config_document.h"

#include <algorithm>
#include <tuple>

#include "proxy/config/in_quotes.h"
#include "proxy/config/name_hint.h"
#include "proxy/config/table_reader_impl.h"
#include "shared/toml/parse_toml.h"

namespace baton::proxy {

void ConfigDocument::State::record(toml::source_position position, std::string key,
                                   std::string message) {
  errors.push_back({file, std::max(position.line, 1U), std::max(position.column, 1U),
                    std::move(key), std::move(message)});
}

ConfigDocument::ConfigDocument(std::string_view bytes, std::string file)
    : state_(std::make_unique<State>()) {
  state_->file = std::move(file);
  auto root = parse_toml(bytes);
  if (!root) {
    const TomlError& error = root.error();
    state_->record({error.line, error.column}, "", one_line(error.message));
    return;
  }
  state_->root = *std::move(root);
  state_->parsed = true;
}

ConfigDocument::~ConfigDocument() = default;

bool ConfigDocument::parsed() const { return state_->parsed; }

TableReader ConfigDocument::root() {
  return TableReader(std::make_unique<TableReader::Impl>(TableReader::Impl{
      .document = *state_,
      .table = &state_->root,
      .start = {1, 1},
      .path = "",
      .label = "",
      .separator = "",
  }));
}

void ConfigDocument::resolve_clusters(std::span<const std::string> defined) {
  for (const State::ClusterReference& reference : state_->cluster_references) {
    if (std::ranges::find(defined, reference.name) != defined.end()) continue;
    std::string message = "there is no cluster " + in_quotes(reference.name);
    if (defined.empty()) {
      message += "; the file has no [[cluster]] at all";
    } else if (const auto near = nearest_name(reference.name, defined)) {
      message += "; did you mean " + in_quotes(*near) + "?";
    } else {
      message += "; allowed: " + list_names(defined, NameStyle::Quoted);
    }
    state_->record(reference.position, reference.key, std::move(message));
  }
  state_->cluster_references.clear();
}

std::vector<ConfigError> ConfigDocument::take_errors() {
  std::vector<ConfigError> errors = std::move(state_->errors);
  state_->errors.clear();
  std::ranges::stable_sort(
      errors, {}, [](const ConfigError& error) { return std::tuple(error.line, error.column); });
  if (errors.size() > kMostErrors) {
    const std::size_t more = errors.size() - kMostErrors;
    errors.resize(kMostErrors);
    ConfigError& last = errors.back();
    last.key.clear();
    last.message = "and " + std::to_string(more + 1) + " more mistakes from here on";
  }
  return errors;
}

}  // namespace baton::proxy

// What TableReader and ConfigDocument share. Included by their .cc files only: it brings the TOML
// library in.
#pragma once

#include <toml++/toml.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/config_document.h"
#include "proxy/config/table_reader.h"

namespace baton::proxy {

struct ConfigDocument::State {
  struct ClusterReference {
    toml::source_position position;
    std::string key;  // the full one
    std::string name;
  };

  void record(toml::source_position position, std::string key, std::string message);

  std::string file;
  toml::table root;
  bool parsed = false;
  std::vector<ConfigError> errors;
  std::vector<ClusterReference> cluster_references;
};

struct TableReader::Impl {
  struct Expected {
    std::string_view what;
    std::string_view allowed = {};
  };
  struct ElementNaming {
    std::string_view name_key = {};   // its value names an element in errors
    std::string_view short_for = {};  // not empty: elements may be strings, see `shorthand`
  };

  // As find(), and remembers that somebody knows the key.
  const toml::node* ask(std::string_view key);
  const toml::node* find(std::string_view key) const;
  // Where to report a mistake at `key`.
  toml::source_position position_of(std::string_view key) const;
  // The key as an error names it: `listener "db": idle_timeout`.
  std::string full_key(std::string_view key) const;
  // The key as the head of a table names it: `listener.filter`.
  std::string path_to(std::string_view key) const;
  void record(std::string_view key, std::string message);
  void wrong_type(std::string_view key, std::string_view expected, const toml::node& found);

  // The string at `key`; `expected` is for the error when it is of another type.
  std::optional<std::string> text(std::string_view key, Expected expected);
  std::optional<std::vector<TableReader>> elements(std::string_view key, ElementNaming naming);

  ConfigDocument::State& document;
  const toml::table* table;               // null: an element written as a string, see `shorthand`
  toml::source_position start;            // of the table
  std::string path;                       // as a head names it: listener.filter; empty: the root
  std::string label;                      // `listener "db"`; empty: the root
  std::string_view separator;             // between the label and a key
  const toml::node* shorthand = nullptr;  // the value of the only key there is
  std::string shorthand_key = {};
  std::vector<std::string> asked = {};
  std::vector<std::string> unavailable = {};
};

}  // namespace baton::proxy

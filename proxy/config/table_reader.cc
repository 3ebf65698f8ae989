#include "proxy/config/table_reader.h"

#include <algorithm>
#include <span>
#include <tuple>
#include <utility>

#include "proxy/config/address_text.h"
#include "proxy/config/byte_size.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/name_hint.h"
#include "proxy/config/table_reader_impl.h"
#include "shared/os/duration.h"

namespace baton::proxy {
namespace {

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::none:
      return "nothing";
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date and time";
  }
  return "something else";
}

// A key as it can be written in a file.
std::string written(std::string_view key) {
  const bool bare = !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  return bare && key.size() <= kLongestQuote ? std::string(key) : in_quotes(key);
}

std::string wrong_type_message(std::string_view expected, const toml::node& found) {
  return "expected " + std::string(expected) + ", found " + std::string(type_name(found));
}

}  // namespace

std::string ConfigError::text() const {
  std::string line_text = file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": ";
  if (!key.empty()) line_text += key + ": ";
  return line_text + message;
}

const toml::node* TableReader::Impl::ask(std::string_view key) {
  if (std::ranges::find(asked, key) == asked.end()) asked.emplace_back(key);
  return find(key);
}

const toml::node* TableReader::Impl::find(std::string_view key) const {
  if (table != nullptr) return table->get(key);
  return key == shorthand_key ? shorthand : nullptr;
}

toml::source_position TableReader::Impl::position_of(std::string_view key) const {
  const toml::node* const node = find(key);
  return node != nullptr ? node->source().begin : start;
}

std::string TableReader::Impl::full_key(std::string_view key) const {
  if (key.empty() || (table == nullptr && key == shorthand_key)) return label;
  return label + std::string(separator) + written(key);
}

std::string TableReader::Impl::path_to(std::string_view key) const {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

void TableReader::Impl::record(std::string_view key, std::string message) {
  document.record(position_of(key), full_key(key), std::move(message));
}

void TableReader::Impl::wrong_type(std::string_view key, std::string_view expected,
                                   const toml::node& found) {
  record(key, wrong_type_message(expected, found));
}

std::optional<std::string> TableReader::Impl::text(std::string_view key, Expected expected) {
  const toml::node* const node = ask(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_string()) {
    std::string message = wrong_type_message(expected.what, *node);
    if (!expected.allowed.empty()) message += "; allowed: " + std::string(expected.allowed);
    record(key, std::move(message));
    return std::nullopt;
  }
  return node->as_string()->get();
}

std::optional<std::vector<TableReader>> TableReader::Impl::elements(std::string_view key,
                                                                    ElementNaming naming) {
  std::vector<TableReader> readers;
  const toml::node* const node = ask(key);
  if (node == nullptr) return readers;
  const bool strings_too = !naming.short_for.empty();
  if (!node->is_array()) {
    wrong_type(key, strings_too ? "an array" : "an array of tables, [[" + path_to(key) + "]]",
               *node);
    return std::nullopt;
  }
  for (std::size_t i = 0; i < node->as_array()->size(); ++i) {
    const toml::node& element = *node->as_array()->get(i);
    const toml::table* const element_table = element.as_table();
    const toml::node* const name =
        element_table != nullptr ? element_table->get(naming.name_key) : nullptr;
    const std::string element_label =
        full_key(key) + " " +
        (name != nullptr && name->is_string() ? in_quotes(name->as_string()->get())
                                              : "#" + std::to_string(i + 1));
    if (element_table == nullptr && !(strings_too && element.is_string())) {
      document.record(element.source().begin, element_label,
                      wrong_type_message(strings_too ? "a string or a table" : "a table", element));
      continue;
    }
    readers.emplace_back(std::make_unique<Impl>(Impl{
        .document = document,
        .table = element_table,
        .start = element.source().begin,
        .path = path_to(key),
        .label = element_label,
        .separator = ": ",
        .shorthand = element_table == nullptr ? &element : nullptr,
        .shorthand_key = std::string(naming.short_for),
    }));
  }
  // Nothing but mistakes is not the same as nothing.
  if (readers.empty() && !node->as_array()->empty()) return std::nullopt;
  return readers;
}

TableReader::TableReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TableReader::TableReader(TableReader&&) noexcept = default;
TableReader::~TableReader() = default;

bool TableReader::has(std::string_view key) const { return impl_->ask(key) != nullptr; }

std::optional<std::string> TableReader::string(std::string_view key) {
  return impl_->text(key, {.what = "a string"});
}

std::optional<bool> TableReader::boolean(std::string_view key) {
  const toml::node* const node = impl_->ask(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_boolean()) {
    impl_->wrong_type(key, "true or false", *node);
    return std::nullopt;
  }
  return node->as_boolean()->get();
}

std::optional<std::int64_t> TableReader::integer(std::string_view key, std::int64_t least,
                                                 std::int64_t most) {
  const toml::node* const node = impl_->ask(key);
  if (node == nullptr) return std::nullopt;
  const std::string range = std::to_string(least) + " to " + std::to_string(most);
  if (!node->is_integer()) {
    impl_->wrong_type(key, "a whole number from " + range, *node);
    return std::nullopt;
  }
  const std::int64_t value = node->as_integer()->get();
  if (value < least || value > most) {
    impl_->record(key, std::to_string(value) + " is out of range; allowed: " + range);
    return std::nullopt;
  }
  return value;
}

std::optional<std::chrono::milliseconds> TableReader::duration(std::string_view key,
                                                               std::chrono::milliseconds least,
                                                               std::chrono::milliseconds most) {
  const auto text = impl_->text(key, {.what = "a duration", .allowed = os::kDurationSyntax});
  if (!text) return std::nullopt;
  const auto value = os::parse_duration(*text);
  if (!value) {
    impl_->record(
        key, in_quotes(*text) + " is not a duration; allowed: " + std::string(os::kDurationSyntax));
    return std::nullopt;
  }
  if (*value < least || *value > most) {
    impl_->record(key, in_quotes(*text) +
                           " is out of range; allowed: " + os::format_duration(least) +
                           (most == most.max() ? " or more" : " to " + os::format_duration(most)));
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> TableReader::size_bytes(std::string_view key) {
  const auto text = impl_->text(key, {.what = "a size", .allowed = kByteSizeSyntax});
  if (!text) return std::nullopt;
  const auto value = parse_byte_size(*text);
  if (!value) {
    impl_->record(key,
                  in_quotes(*text) + " is not a size; allowed: " + std::string(kByteSizeSyntax));
  }
  return value;
}

std::optional<os::SocketAddress> TableReader::address(std::string_view key) {
  const auto text = impl_->text(key, {.what = "an address", .allowed = os::SocketAddress::kSyntax});
  if (!text) return std::nullopt;
  const auto address = parse_address_text(*text);
  if (!address) {
    impl_->record(key, address.error() + "; allowed: " + std::string(os::SocketAddress::kSyntax));
    return std::nullopt;
  }
  return *address;
}

std::vector<std::string> TableReader::keys() {
  std::vector<std::pair<toml::source_position, std::string>> found;
  if (impl_->table != nullptr) {
    for (const auto& [key, node] : *impl_->table) {
      found.emplace_back(key.source().begin, std::string(key.str()));
    }
  }
  std::ranges::sort(found, [](const auto& left, const auto& right) {
    return std::tie(left.first.line, left.first.column) <
           std::tie(right.first.line, right.first.column);
  });
  std::vector<std::string> names;
  for (auto& [position, name] : found) {
    impl_->ask(name);
    names.push_back(std::move(name));
  }
  return names;
}

std::optional<std::vector<std::int64_t>> TableReader::integers(std::string_view key,
                                                               std::int64_t least,
                                                               std::int64_t most) {
  const toml::node* const node = impl_->ask(key);
  if (node == nullptr) return std::nullopt;
  const std::string range = std::to_string(least) + " to " + std::to_string(most);
  if (!node->is_array()) {
    impl_->wrong_type(key, "an array of whole numbers from " + range, *node);
    return std::nullopt;
  }
  std::vector<std::int64_t> values;
  bool good = true;
  for (const toml::node& element : *node->as_array()) {
    const toml::value<std::int64_t>* const value = element.as_integer();
    if (value != nullptr && value->get() >= least && value->get() <= most) {
      values.push_back(value->get());
      continue;
    }
    good = false;
    impl_->document.record(
        element.source().begin, impl_->full_key(key),
        value == nullptr ? wrong_type_message("a whole number from " + range, element)
                         : std::to_string(value->get()) + " is out of range; allowed: " + range);
  }
  if (!good) return std::nullopt;
  return values;
}

std::optional<std::vector<std::string>> TableReader::strings(std::string_view key) {
  const toml::node* const node = impl_->ask(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_array()) {
    impl_->wrong_type(key, "an array of strings", *node);
    return std::nullopt;
  }
  std::vector<std::string> values;
  bool good = true;
  for (const toml::node& element : *node->as_array()) {
    if (element.is_string()) {
      values.push_back(element.as_string()->get());
      continue;
    }
    good = false;
    impl_->document.record(element.source().begin, impl_->full_key(key),
                           wrong_type_message("a string", element));
  }
  if (!good) return std::nullopt;
  return values;
}

std::optional<std::string> TableReader::choice(std::string_view key,
                                               std::initializer_list<std::string_view> allowed,
                                               std::initializer_list<std::string_view> later) {
  const std::vector<std::string> names(allowed.begin(), allowed.end());
  const std::string list = list_names(names, NameStyle::Quoted);
  const auto text = impl_->text(key, {.what = "a string", .allowed = list});
  if (!text || std::ranges::find(allowed, *text) != allowed.end()) return text;
  const bool known = std::ranges::find(later, *text) != later.end();
  impl_->record(key, in_quotes(*text) +
                         (known ? " is not available in this version" : " is unknown") +
                         "; allowed: " + list);
  return std::nullopt;
}

std::optional<std::string> TableReader::required_string(std::string_view key) {
  require(key, "a string");
  return string(key);
}

std::optional<std::string> TableReader::cluster(std::string_view key) {
  auto name = impl_->text(key, {.what = "the name of a cluster"});
  if (name) {
    impl_->document.cluster_references.push_back(
        {impl_->position_of(key), impl_->full_key(key), *name});
  }
  return name;
}

void TableReader::require(std::string_view key, std::string_view allowed) {
  if (!has(key)) impl_->record(key, "is missing; allowed: " + std::string(allowed));
}

void TableReader::not_available(std::string_view key, std::string_view allowed) {
  impl_->unavailable.emplace_back(key);
  if (impl_->find(key) == nullptr) return;
  impl_->record(key, "is not available in this version; allowed: " + std::string(allowed));
}

void TableReader::error(std::string_view key, std::string message) {
  impl_->record(key, std::move(message));
}

void TableReader::element_error(std::string_view key, std::size_t index, std::string message) {
  const toml::node* const node = impl_->find(key);
  const toml::node* const element =
      node != nullptr && node->is_array() ? node->as_array()->get(index) : nullptr;
  if (element == nullptr) {
    impl_->record(key, std::move(message));
    return;
  }
  impl_->document.record(element->source().begin, impl_->full_key(key), std::move(message));
}

std::uint32_t TableReader::line(std::string_view key) const { return impl_->position_of(key).line; }

std::optional<TableReader> TableReader::table(std::string_view key) {
  const toml::node* const node = impl_->ask(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_table()) {
    impl_->wrong_type(key, "a table, [" + impl_->path_to(key) + "]", *node);
    return std::nullopt;
  }
  return TableReader(std::make_unique<Impl>(Impl{.document = impl_->document,
                                                 .table = node->as_table(),
                                                 .start = node->source().begin,
                                                 .path = impl_->path_to(key),
                                                 .label = impl_->full_key(key),
                                                 .separator = "."}));
}

std::optional<std::vector<TableReader>> TableReader::tables(std::string_view key,
                                                            std::string_view name_key) {
  return impl_->elements(key, {.name_key = name_key});
}

std::optional<std::vector<TableReader>> TableReader::tables_or_strings(std::string_view key,
                                                                       std::string_view short_for) {
  return impl_->elements(key, {.short_for = short_for});
}

void TableReader::finish() {
  if (impl_->table == nullptr) return;
  std::erase_if(impl_->asked, [this](const std::string& key) {
    return std::ranges::find(impl_->unavailable, key) != impl_->unavailable.end();
  });
  for (const auto& [key, node] : *impl_->table) {
    const auto is_key = [&key = key](const std::string& name) { return name == key.str(); };
    if (std::ranges::any_of(impl_->asked, is_key)) continue;
    if (std::ranges::any_of(impl_->unavailable, is_key)) continue;
    const auto near = nearest_name(key.str(), impl_->asked);
    impl_->document.record(
        key.source().begin, impl_->full_key(key.str()),
        near ? "unknown key; did you mean " + in_quotes(*near) + "?"
             : "unknown key; allowed: " + list_names(impl_->asked, NameStyle::Plain));
  }
}

}  // namespace baton::proxy

#include "supervisor/settings.h"

#include <boost/algorithm/string/join.hpp>

#include <array>

#include "shared/os/format.h"
#include "shared/toml/parse_toml.h"

namespace baton::supervisor {
namespace {

constexpr std::array<std::string_view, 5> kKeys{"drain_time", "drain_strategy", "probation",
                                                "start_timeout", "max_draining"};

// Reads the keys of the table one by one and notes each mistake with its place.
class Reader {
 public:
  Reader(const toml::table& table, const std::string& file, std::vector<std::string>& errors)
      : table_(table), file_(file), errors_(errors) {}

  std::optional<std::chrono::milliseconds> duration(std::string_view key, os::DurationRange range) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    const auto* text = node->as_string();
    if (text == nullptr) {
      error(*node, key, os::format("must be {}", os::kDurationSyntax));
      return std::nullopt;
    }
    const auto value = os::parse_duration(text->get(), range);
    if (value) return *value;
    error(*node, key, value.error());
    return std::nullopt;
  }

  std::optional<DrainStrategy> strategy(std::string_view key) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto* text = node->as_string()) {
      if (const auto value = parse_drain_strategy(text->get())) return value;
    }
    error(*node, key, R"(must be "gradual" or "immediate")");
    return std::nullopt;
  }

  std::optional<std::uint32_t> count(std::string_view key, std::int64_t least, std::int64_t most) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto* number = node->as_integer()) {
      if (number->get() >= least && number->get() <= most) {
        return static_cast<std::uint32_t>(number->get());
      }
    }
    error(*node, key, os::format("must be a whole number from {} to {}", least, most));
    return std::nullopt;
  }

  void unknown_keys() {
    for (const auto& [key, node] : table_) {
      bool known = false;
      for (const std::string_view name : kKeys) known = known || name == key.str();
      if (!known) error(node, key.str(), os::format("unknown key; allowed: {}", allowed_keys()));
    }
  }

 private:
  static std::string allowed_keys() {
    return boost::algorithm::join(std::vector<std::string>(kKeys.begin(), kKeys.end()), ", ");
  }

  void error(const toml::node& node, std::string_view key, const std::string& message) {
    const toml::source_position place = node.source().begin;
    errors_.push_back(
        os::format("{}:{}:{}: supervisor.{}: {}", file_, place.line, place.column, key, message));
  }

  const toml::table& table_;
  const std::string& file_;
  std::vector<std::string>& errors_;
};

}  // namespace

void SettingsLayer::apply_to(Settings& settings) const {
  settings.drain_time = drain_time.value_or(settings.drain_time);
  settings.drain_strategy = drain_strategy.value_or(settings.drain_strategy);
  settings.probation = probation.value_or(settings.probation);
  settings.start_timeout = start_timeout.value_or(settings.start_timeout);
  settings.max_draining = max_draining.value_or(settings.max_draining);
}

LoadedSettings load_settings(std::string_view bytes, const std::string& file) {
  LoadedSettings loaded;
  const auto document = parse_toml(bytes);
  if (!document) return loaded;
  const toml::node* node = document->get("supervisor");
  if (node == nullptr) return loaded;
  const toml::table* table = node->as_table();
  if (table == nullptr) {
    const toml::source_position place = node->source().begin;
    loaded.errors.push_back(os::format("{}:{}:{}: supervisor: must be a table, [supervisor]", file,
                                       place.line, place.column));
    return loaded;
  }
  Reader reader(*table, file, loaded.errors);
  loaded.layer.drain_time = reader.duration("drain_time", kDrainTimeRange);
  loaded.layer.drain_strategy = reader.strategy("drain_strategy");
  loaded.layer.probation = reader.duration("probation", kProbationRange);
  loaded.layer.start_timeout = reader.duration("start_timeout", kStartTimeoutRange);
  loaded.layer.max_draining = reader.count("max_draining", 1, kMostDraining);
  reader.unknown_keys();
  return loaded;
}

std::optional<DrainStrategy> parse_drain_strategy(std::string_view text) {
  if (text == "gradual") return DrainStrategy::Gradual;
  if (text == "immediate") return DrainStrategy::Immediate;
  return std::nullopt;
}

std::string_view drain_strategy_name(DrainStrategy strategy) {
  return strategy == DrainStrategy::Gradual ? "gradual" : "immediate";
}

}  // namespace baton::supervisor

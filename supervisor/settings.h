// What the supervisor itself can be told, by the [supervisor] table of a configuration or by
// command-line flags, which win. Source: docs/configuration.md.
// Thread: none; plain values and pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/os/duration.h"

namespace baton::supervisor {

enum class DrainStrategy : std::uint8_t { Gradual, Immediate };

struct Settings {
  std::chrono::milliseconds drain_time{30'000};
  DrainStrategy drain_strategy = DrainStrategy::Gradual;
  std::chrono::milliseconds probation{1000};
  std::chrono::milliseconds start_timeout{30'000};
  std::uint32_t max_draining = 8;  // the oldest is cut beyond this
};

// Some of the settings, from one source.
struct SettingsLayer {
  std::optional<std::chrono::milliseconds> drain_time;
  std::optional<DrainStrategy> drain_strategy;
  std::optional<std::chrono::milliseconds> probation;
  std::optional<std::chrono::milliseconds> start_timeout;
  std::optional<std::uint32_t> max_draining;

  void apply_to(Settings& settings) const;
};

// What is allowed, by the table and by flags alike.
inline constexpr os::DurationRange kDrainTimeRange{std::chrono::milliseconds(0),
                                                   std::chrono::days(30)};
inline constexpr os::DurationRange kProbationRange{std::chrono::milliseconds(0),
                                                   std::chrono::hours(1)};
inline constexpr os::DurationRange kStartTimeoutRange{std::chrono::milliseconds(1),
                                                      std::chrono::hours(1)};
inline constexpr std::uint32_t kMostDraining = 32;

struct LoadedSettings {
  SettingsLayer layer;
  std::vector<std::string> errors;  // "file:line:column: key: what is wrong and what is allowed"
};

// Reads the [supervisor] table and nothing else. A file that is not TOML at all gives no errors
// here: the generation, which reads everything, reports it.
LoadedSettings load_settings(std::string_view bytes, const std::string& file);

// "gradual", "immediate".
std::optional<DrainStrategy> parse_drain_strategy(std::string_view text);
std::string_view drain_strategy_name(DrainStrategy strategy);

}  // namespace baton::supervisor

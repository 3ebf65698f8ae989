// From the bytes of a TOML file to a Config, or every mistake in it.
// Thread: main. No side effects: nothing is opened, bound or looked up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/config/table_reader.h"

namespace baton::proxy {

inline constexpr std::size_t kMaxConfigBytes = 16 * 1024 * 1024;

// `file` is only how errors name the source.
std::expected<Config, std::vector<ConfigError>> load_config(std::string_view bytes,
                                                            const std::string& file);

// How many there are if the file does not say: one for each CPU that this process may use.
std::uint32_t default_workers();

// What `run` uses without --config, default.toml: answers on 127.0.0.1:8080, admin on
// 127.0.0.1:9901.
std::string_view built_in_config();
inline constexpr std::string_view kBuiltInConfigName = "built-in configuration";

}  // namespace baton::proxy

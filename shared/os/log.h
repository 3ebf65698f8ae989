// The log of both programs: one line an event on standard error, as text or JSON.
// Thread: any, after init(). A line is written with one call, so that the supervisor and several
// generations can share one stream, and nobody waits for its reader: on anything but a file a line
// that does not fit is left out (a later one says how many were), one beyond PIPE_BUF is cut.
// Nothing secret is ever passed here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/os/format.h"

namespace baton::log {

enum class Level : std::uint8_t { Debug, Info, Warning, Error, Off };
enum class Format : std::uint8_t { Text, Json };

struct Options {
  std::string program;  // "supervisor", "proxy"
  Level level = Level::Info;
  Format format = Format::Text;
  std::uint64_t generation = 0;  // 0: none, left out of the line
};

// Call once, before any thread starts; calling again changes the options.
void init(const Options& options);
bool enabled(Level level);
void write(Level level, std::string_view message);

// "debug", "info", "warning", "error", "off"; false: unknown, `level` unchanged.
bool parse_level(std::string_view text, Level& level);
bool parse_format(std::string_view text, Format& format);
std::string_view level_name(Level level);
std::string_view format_name(Format format);

template <class... Args>
void debug(fmt::format_string<Args...> format, const Args&... args) {
  if (enabled(Level::Debug)) write(Level::Debug, os::format(format, args...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, const Args&... args) {
  if (enabled(Level::Info)) write(Level::Info, os::format(format, args...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, const Args&... args) {
  if (enabled(Level::Warning)) {
    write(Level::Warning, os::format(format, args...));
  }
}
template <class... Args>
void error(fmt::format_string<Args...> format, const Args&... args) {
  if (enabled(Level::Error)) write(Level::Error, os::format(format, args...));
}

}  // namespace baton::log

#include "shared/os/log.h"

#include <poll.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <mutex>

#include "shared/os/log_escape.h"

namespace baton::log {
namespace {

// Writes each line with one call: lines of several processes never mix on a pipe (up to PIPE_BUF)
// or on an O_APPEND file. Nobody waits for whoever should read them: what does not fit is left out,
// and counted.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  StderrSink() {
    struct stat status{};
    is_file_ = ::fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (lost_ > 0) {
      const std::string report = fmt::format(
          "{} lines are missing here: {}", lost_,
          is_file_ ? "the file could not be written" : "nobody has read standard error");
      if (!emit({message.logger_name, spdlog::level::warn, report})) {
        ++lost_;
        return;
      }
      lost_ = 0;
    }
    if (!emit(message)) ++lost_;
  }
  void flush_() override {}

 private:
  bool emit(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (is_file_) return write_to_file({line.data(), line.size()});
    spdlog::details::log_msg shortened = message;
    while (line.size() > PIPE_BUF) {
      shortened.payload = {message.payload.data(), shortened.payload.size() / 2};
      line.clear();
      formatter_->format(shortened, line);
    }
    return write_if_it_fits({line.data(), line.size()});
  }

  // A full disk may take the beginning of a line: it is ended before the next one.
  bool write_to_file(std::string_view line) {
    if (torn_ && ::write(STDERR_FILENO, "\n", 1) != 1) return false;
    const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    torn_ = written > 0 && static_cast<std::size_t>(written) < line.size();
    return written == static_cast<ssize_t>(line.size());
  }

  // O_NONBLOCK would be everybody's who has this open file. On a pipe or socket the flag does the
  // same for one call (since Linux 6.4); elsewhere another writer may come in between.
  static bool write_if_it_fits(std::string_view line) {
    const iovec piece{.iov_base = const_cast<char*>(line.data()), .iov_len = line.size()};
    if (::pwritev2(STDERR_FILENO, &piece, 1, -1, RWF_NOWAIT) >= 0) return true;
    if (errno == EAGAIN) return false;
    pollfd room{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) return false;
    return ::write(STDERR_FILENO, line.data(), line.size()) >= 0;
  }

  bool is_file_ = false;
  bool torn_ = false;       // the last line is not all there
  std::uint64_t lost_ = 0;  // since the last line that was written
};

// %* in the JSON pattern: the message, escaped.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string escaped;
    append_json_escaped(escaped, {message.payload.data(), message.payload.size()});
    out.append(escaped.data(), escaped.data() + escaped.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::Debug:
      return spdlog::level::debug;
    case Level::Info:
      return spdlog::level::info;
    case Level::Warning:
      return spdlog::level::warn;
    case Level::Error:
      return spdlog::level::err;
    case Level::Off:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

constexpr std::array<std::pair<std::string_view, Level>, 5> kLevels{{{"debug", Level::Debug},
                                                                     {"info", Level::Info},
                                                                     {"warning", Level::Warning},
                                                                     {"error", Level::Error},
                                                                     {"off", Level::Off}}};

std::shared_ptr<spdlog::logger> g_logger;

}  // namespace

void init(const Options& options) {
  auto logger = std::make_shared<spdlog::logger>(options.program, std::make_shared<StderrSink>());
  logger->set_level(to_spdlog(options.level));
  auto formatter = std::make_unique<spdlog::pattern_formatter>(
      spdlog::pattern_time_type::utc);  // UTC: lines of several machines sort together
  formatter->add_flag<JsonMessage>('*');
  const std::string generation = std::to_string(options.generation);
  if (options.format == Format::Json) {
    formatter->set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","program":"%n","pid":%P,)" +
        (options.generation ? R"("generation":)" + generation + "," : std::string()) +
        R"("message":"%*"})");
  } else {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %n[%P]" +
                           (options.generation ? " g" + generation : std::string()) + ": %v");
  }
  logger->set_formatter(std::move(formatter));
  g_logger = std::move(logger);
}

bool enabled(Level level) { return g_logger && g_logger->should_log(to_spdlog(level)); }

void write(Level level, std::string_view message) {
  if (g_logger) {
    g_logger->log(to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
  }
}

bool parse_level(std::string_view text, Level& level) {
  for (const auto& [name, value] : kLevels) {
    if (name == text) {
      level = value;
      return true;
    }
  }
  return false;
}

bool parse_format(std::string_view text, Format& format) {
  if (text != "text" && text != "json") return false;
  format = text == "json" ? Format::Json : Format::Text;
  return true;
}

std::string_view level_name(Level level) {
  for (const auto& [name, value] : kLevels) {
    if (value == level) return name;
  }
  return "info";
}

std::string_view format_name(Format format) { return format == Format::Json ? "json" : "text"; }

}  // namespace baton::log

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "proxy/http/access_log/access_logs.h"
#include "shared/os/unique_fd.h"
#include "tests/unit/fixture/metrics.h"
#include "tests/unit/http_access_log/log_directory.h"

using namespace baton;
using namespace std::chrono_literals;
using fixture::LogDirectory;
using proxy::StatsStore;
using proxy::http::AccessLogger;
using proxy::http::AccessLogs;
using proxy::http::AccessLogSink;

namespace {

constexpr auto kDeadline = 10s;

// One process's logs, and a worker's lane.
struct Process {
  explicit Process(const AccessLogger::Options& options = {}) : logs(*stats, options) {}

  AccessLogger& open(const std::string& path) {
    auto logger = logs.open(path);
    REQUIRE(logger);
    (*logger)->start();
    return **logger;
  }
  AccessLogSink& sink(const std::string& path) { return open(path).add_worker(*lane); }
  std::int64_t count(const std::string& name, const std::string& path) const {
    return fixture::metric(*stats, "baton_access_log_" + name + "_total{file=\"" + path + "\"}");
  }

  std::unique_ptr<StatsStore> stats = *StatsStore::open(os::UniqueFd(), 0);
  std::unique_ptr<proxy::StatsLane> lane = stats->claim_lane();
  AccessLogs logs;
};

// Everything until the last writer has closed it.
std::string read_all(int fd) {
  std::string text;
  std::string piece(1 << 16, '\0');
  const auto by = std::chrono::steady_clock::now() + kDeadline;
  while (std::chrono::steady_clock::now() < by) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    ::poll(&ready, 1, 100);
    const ssize_t size = ::read(fd, piece.data(), piece.size());
    if (size == 0) return text;
    if (size > 0) text.append(piece, 0, static_cast<std::size_t>(size));
  }
  FAIL("nobody closed it");
  return text;
}

std::int64_t lines_in(const std::string& text) { return std::ranges::count(text, '\n'); }

}  // namespace

TEST_CASE("access logger: lines reach the file in their order, and are counted") {
  const LogDirectory directory;
  const std::string path = directory.file("log");
  Process process;
  AccessLogSink& sink = process.sink(path);
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    sink.append(std::to_string(i) + "\n");
    expected += std::to_string(i) + "\n";
  }
  process.logs.close(kDeadline);
  CHECK(directory.content("log") == expected);
  CHECK(process.count("dropped", path) == 0);
}

TEST_CASE("access logger: written lines are counted while it is open") {
  const LogDirectory directory;
  const std::string path = directory.file("log");
  Process process({.batch_time = 1ms});
  AccessLogSink& sink = process.sink(path);
  const auto by = std::chrono::steady_clock::now() + kDeadline;
  // Again and again: each time the thread has gone to sleep in between, or has not.
  for (int i = 1; i <= 200; ++i) {
    sink.append("line\n");
    while (process.count("written", path) != i) {
      REQUIRE(std::chrono::steady_clock::now() < by);
      std::this_thread::yield();
    }
  }
}

TEST_CASE("access logger: listeners that name the same path share one") {
  const LogDirectory directory;
  Process process;
  CHECK(&process.open(directory.file("log")) == &process.open(directory.file("log")));
  CHECK(&process.open(directory.file("log")) != &process.open(directory.file("other")));
}

TEST_CASE("access logger: a file that cannot be opened is an error that names it") {
  const LogDirectory directory;
  Process process;
  const auto logger = process.logs.open(directory.file("none/log"));
  REQUIRE_FALSE(logger);
  CHECK(logger.error().text().find(directory.file("none/log")) != std::string::npos);
}

TEST_CASE("access logger: after reopen() lines go to the file that has the path then") {
  const LogDirectory directory;
  const std::string path = directory.file("log");
  Process process;
  AccessLogSink& sink = process.sink(path);
  std::string rotated;
  for (int i = 0; i < 20; ++i) {
    const std::string old = "log." + std::to_string(i);
    sink.append("before\n");
    std::filesystem::rename(path, directory.file(old));
    process.logs.reopen();
    sink.append("after " + std::to_string(i) + "\n");
    // The file is there again once the thread has seen to it.
    const auto by = std::chrono::steady_clock::now() + kDeadline;
    while (!std::filesystem::exists(path)) {
      REQUIRE(std::chrono::steady_clock::now() < by);
      std::this_thread::yield();
    }
    CHECK(directory.content(old).find("after " + std::to_string(i)) == std::string::npos);
    rotated += directory.content(old);
  }
  process.logs.close(kDeadline);
  CHECK(lines_in(rotated + directory.content("log")) == 40);
  CHECK(directory.content("log").find("after 19\n") != std::string::npos);
}

TEST_CASE("access logger: when it cannot be opened again the old file goes on") {
  const LogDirectory directory;
  std::filesystem::create_directory(directory.file("sub"));
  Process process;
  AccessLogSink& sink = process.sink(directory.file("sub/log"));
  std::filesystem::rename(directory.file("sub"), directory.file("moved"));
  process.logs.reopen();
  sink.append("line\n");
  process.logs.close(kDeadline);
  CHECK(directory.content("moved/log") == "line\n");
}

TEST_CASE("access logger: two processes append whole lines to one file") {
  const LogDirectory directory;
  const std::string path = directory.file("log");
  constexpr int kLines = 20'000;
  const auto work = [&path](char letter) {
    Process process({.batch_time = 1ms});
    AccessLogSink& sink = process.sink(path);
    for (int i = 0; i < kLines; ++i) {
      sink.append(letter + std::to_string(i) + std::string(static_cast<std::size_t>(i % 50), '.') +
                  "\n");
    }
    process.logs.close(kDeadline);
  };
  std::thread one(work, 'a');
  std::thread other(work, 'b');
  one.join();
  other.join();
  std::istringstream lines(directory.content("log"));
  std::set<std::string> whole;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t dots = line.find_first_of('.');
    const int number = std::stoi(line.substr(1, dots - 1));
    CHECK(line == line[0] + std::to_string(number) +
                      std::string(static_cast<std::size_t>(number % 50), '.'));
    whole.insert(line);
  }
  CHECK(whole.size() == 2 * kLines);
}

TEST_CASE("access logger: a file that takes nothing costs lines, not the worker's time") {
  const LogDirectory directory;
  const std::string path = directory.file("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  auto process =
      std::make_unique<Process>(AccessLogger::Options{.queue_bytes = 10'000, .batch_time = 1ms});
  AccessLogSink& sink = process->sink(path);
  const std::string line = std::string(99, 'x') + "\n";
  std::int64_t appended = 0;
  while (process->count("dropped", path) == 0) {
    sink.append(line);
    REQUIRE(++appended < 1'000'000);
  }
  // Now somebody reads.
  const os::UniqueFd reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  REQUIRE(reader);
  std::int64_t dropped = 0;
  std::thread end([&] {
    process->logs.close(kDeadline);
    dropped = process->count("dropped", path);
    process.reset();
  });
  const std::string text = read_all(reader.get());
  end.join();
  CHECK(dropped > 0);
  CHECK(lines_in(text) + dropped == appended);
  CHECK(text.size() == static_cast<std::size_t>(lines_in(text)) * line.size());
}

TEST_CASE("access logger: the end does not wait longer than told, and counts what is lost") {
  const LogDirectory directory;
  const std::string path = directory.file("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const os::UniqueFd reader(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  REQUIRE(reader);
  auto process = std::make_unique<Process>(AccessLogger::Options{.batch_time = 1ms});
  AccessLogSink& sink = process->sink(path);
  constexpr std::int64_t kLines = 5000;
  for (int i = 0; i < kLines; ++i) sink.append(std::string(99, 'x') + "\n");
  const auto begun = std::chrono::steady_clock::now();
  process->logs.close(50ms);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  const std::int64_t dropped = process->count("dropped", path);
  process.reset();
  CHECK(dropped > 0);
  CHECK(lines_in(read_all(reader.get())) + dropped == kLines);
}

TEST_CASE("access logger: reopen() gets a log that waits for its file going again") {
  const LogDirectory directory;
  const std::string path = directory.file("log");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  // Full from the beginning: it takes no line.
  const os::UniqueFd fifo(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  REQUIRE(fifo);
  const std::string filling(1 << 20, '.');
  while (::write(fifo.get(), filling.data(), filling.size()) > 0) {
  }
  Process process({.queue_bytes = 10'000, .batch_time = 1ms});
  AccessLogSink& sink = process.sink(path);
  std::int64_t appended = 0;
  while (process.count("dropped", path) == 0) {
    sink.append("line\n");
    REQUIRE(++appended < 1'000'000);
  }
  std::filesystem::rename(path, directory.file("fifo"));
  process.logs.reopen();
  process.logs.close(kDeadline);
  const std::string content = directory.content("log");
  CHECK(lines_in(content) + process.count("dropped", path) == appended);
  CHECK(content.size() == 5 * static_cast<std::size_t>(lines_in(content)));
}

TEST_CASE("access logger: a full disk is counted") {
  Process process;
  AccessLogSink& sink = process.sink("/dev/full");
  sink.append("a\n");
  sink.append("b\n");
  process.logs.close(kDeadline);
  CHECK(process.count("dropped", "/dev/full") == 2);
}

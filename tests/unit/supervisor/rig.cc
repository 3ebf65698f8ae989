#include "rig.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>

#include "shared/os/unique_fd.h"

namespace baton::supervisor {
namespace {

constexpr int kPatienceMs = 20'000;

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// 0: it is gone.
pid_t parent_of(pid_t pid) {
  std::istringstream lines(read_text("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("PPid:")) return std::stoi(line.substr(5));
  }
  return 0;
}

}  // namespace

Rig::~Rig() {
  if (supervisor_ < 0) return;
  // A test that failed on its way: everything of ours goes, nothing else.
  std::vector<pid_t> pids{supervisor_};
  std::istringstream children(read_text("/proc/" + std::to_string(supervisor_) + "/task/" +
                                        std::to_string(supervisor_) + "/children"));
  for (pid_t pid; children >> pid;) pids.push_back(pid);
  for (const pid_t pid : pids) ::kill(pid, SIGKILL);
  ::waitpid(supervisor_, nullptr, 0);
}

void Rig::configure(const std::string& misdeeds, const std::string& socket,
                    const std::string& start_timeout) {
  std::ofstream(path("baton.toml.new"))
      << "# listen " << path(socket) << "\n"
      << misdeeds << "\n[supervisor]\nprobation = \"200ms\"\nstart_timeout = \"" << start_timeout
      << "\"\n";
  std::filesystem::rename(path("baton.toml.new"), path("baton.toml"));
}

Rig::Words Rig::run_words(const Words& more) {
  Words words{"run", "--control", path("control.sock"), "--log-level", "debug"};
  const auto given = [&more](const std::string& flag) {
    return std::find(more.begin(), more.end(), flag) != more.end();
  };
  if (!given("--proxy")) words.insert(words.end(), {"--proxy", FAKE_GENERATION});
  if (!given("--config")) words.insert(words.end(), {"--config", path("baton.toml")});
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

void Rig::start(const Words& more) {
  supervisor_ = launch(run_words(more), "run");
  wait_until("a generation serves", [this] { return !in_state("serving").is_null(); });
}

Outcome Rig::run_to_end(const Words& more) {
  const pid_t pid = launch(run_words(more), "run");
  return {wait_for(pid), read_text(path("run.out")), read_text(path("run.err"))};
}

pid_t Rig::launch(const Words& words, const std::string& tag) {
  std::vector<char*> argv{const_cast<char*>(SUPERVISOR)};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  const int flags = O_WRONLY | O_CREAT | O_APPEND;
  ::posix_spawn_file_actions_addopen(&actions, 1, path(tag + ".out").c_str(), flags, 0600);
  ::posix_spawn_file_actions_addopen(&actions, 2, path(tag + ".err").c_str(), flags, 0600);
  pid_t pid = -1;
  // Inherited by all that follows: how check_nothing_is_left() knows ours.
  const std::string marker = "BATON_TEST_DIRECTORY=" + directory_.path().string();
  std::vector<char*> environment{const_cast<char*>(marker.c_str())};
  for (char** each = environ; *each != nullptr; ++each) environment.push_back(*each);
  environment.push_back(nullptr);
  const int error =
      ::posix_spawn(&pid, SUPERVISOR, &actions, nullptr, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  REQUIRE(error == 0);
  return pid;
}

int Rig::wait_for(pid_t pid) {
  const os::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{.fd = pidfd.get(), .events = POLLIN};
  const bool in_time = ::poll(&ended, 1, kPatienceMs) == 1;
  if (!in_time) ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  INFO(log());
  REQUIRE_MESSAGE(in_time, "process " << pid << " did not end in time");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t Rig::ask_in_background(const std::string& command, const Words& more) {
  const std::string tag = "command" + std::to_string(++commands_);
  Words words{command};
  if (command != "check") words.insert(words.end(), {"--control", path("control.sock")});
  words.insert(words.end(), more.begin(), more.end());
  const pid_t pid = launch(words, tag);
  tags_.emplace_back(pid, tag);
  return pid;
}

Outcome Rig::finish(pid_t pid) {
  std::string tag;
  for (const auto& [known, its_tag] : tags_) {
    if (known == pid) tag = its_tag;
  }
  Outcome outcome{wait_for(pid), read_text(path(tag + ".out")), read_text(path(tag + ".err"))};
  std::filesystem::remove(path(tag + ".out"));
  std::filesystem::remove(path(tag + ".err"));
  return outcome;
}

Outcome Rig::ask(const std::string& command, const Words& more) {
  return finish(ask_in_background(command, more));
}

nlohmann::json Rig::status() {
  const Outcome outcome = ask("status", {"--json"});
  if (outcome.exit_status != 0) return nullptr;
  return nlohmann::json::parse(outcome.out);
}

nlohmann::json Rig::in_state(const std::string& state) {
  const nlohmann::json all = status();
  if (all.is_null()) return nullptr;
  for (const auto& generation : all["generations"]) {
    if (generation["state"] == state) return generation;
  }
  return nullptr;
}

void Rig::wait_until(const std::string& what, const std::function<bool()>& predicate) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!predicate()) {
    INFO(log());
    REQUIRE_MESSAGE(std::chrono::steady_clock::now() < end, "not in time: " << what);
    ::poll(nullptr, 0, 5);
  }
}

void Rig::wait_for_stage(std::uint64_t generation, const std::string& state) {
  wait_until("generation " + std::to_string(generation) + " is " + state, [&] {
    const nlohmann::json found = in_state(state);
    return !found.is_null() && found["id"] == generation;
  });
}

void Rig::wait_for_log(const std::string& text) {
  wait_until("in the log: " + text, [&] { return log().find(text) != std::string::npos; });
}

void Rig::signal_generation(const std::string& state, int signal) {
  const nlohmann::json generation = in_state(state);
  REQUIRE_FALSE(generation.is_null());
  ::kill(generation["pid"].get<pid_t>(), signal);
}

std::string Rig::answer(const std::string& socket) {
  const os::UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX};
  const std::string file = path(socket);
  REQUIRE(file.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, file.data(), file.size());
  if (::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return "";
  pollfd readable{.fd = client.get(), .events = POLLIN};
  REQUIRE(::poll(&readable, 1, kPatienceMs) == 1);
  char text[32];
  const ssize_t count = ::recv(client.get(), text, sizeof text, 0);
  return std::string(text, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
}

double Rig::metric(const std::string& sample) {
  std::istringstream lines(ask("stats", {"--prometheus"}).out);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(sample + " ")) return std::stod(line.substr(sample.size() + 1));
  }
  return -1;
}

std::string Rig::binary(const std::string& name) {
  const std::string link = path(name);
  std::error_code error;
  std::filesystem::copy_file(FAKE_GENERATION, link, error);
  return link;
}

std::string Rig::log() const { return read_text(path("run.err")); }

std::vector<std::string> Rig::open_fds() const {
  std::vector<std::string> targets;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(supervisor_) + "/fd")) {
    targets.push_back(std::filesystem::read_symlink(entry, error).string());
  }
  return targets;
}

void Rig::stop(const Words& more) {
  const Outcome outcome = ask("stop", more);
  INFO(outcome.err);
  CHECK(outcome.exit_status == 0);
  CHECK(wait_for(std::exchange(supervisor_, -1)) == 0);
  check_nothing_is_left();
}

void Rig::check_nothing_is_left() {
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    const std::string name = entry.path().filename();
    CAPTURE(name);
    CHECK_FALSE(entry.is_socket());
    CHECK_FALSE(name.ends_with(".lock"));
  }
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string environment = read_text(entry.path() / "environ");
    if (environment.find("BATON_TEST_DIRECTORY=" + directory_.path().string()) ==
        std::string::npos) {
      continue;
    }
    const auto command = [this](pid_t pid) {
      return std::ranges::any_of(tags_, [pid](const auto& each) { return each.first == pid; });
    };
    // A command that runs in the background may be at its end: a leak checker looks at it then from
    // a process of its own, its child.
    const pid_t pid = std::stoi(entry.path().filename());
    const pid_t parent = parent_of(pid);
    if (parent == 0 || command(pid) || command(parent)) continue;
    CHECK_MESSAGE(false,
                  "a process is left: " << pid << " " << read_text(entry.path() / "cmdline"));
  }
}

}  // namespace baton::supervisor

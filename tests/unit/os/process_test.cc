#include "shared/os/process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <set>
#include <sstream>

#include "tests/unit/in_child.h"
#include "tests/unit/open_fds.h"

using namespace baton;
using namespace baton::os;

namespace {

UniqueFd open_probe() {
  UniqueFd fd(::open(BATON_SPAWN_PROBE, O_RDONLY | O_CLOEXEC));
  REQUIRE(fd.valid());
  return fd;
}

// A program file with the given content, as a descriptor that nobody can write through any more.
UniqueFd program(const std::string& content, mode_t mode) {
  char path[] = "/tmp/baton_process_test_XXXXXX";
  const UniqueFd writer(::mkostemp(path, O_CLOEXEC));
  REQUIRE(writer.valid());
  REQUIRE(::write(writer.get(), content.data(), content.size()) ==
          static_cast<ssize_t>(content.size()));
  REQUIRE(::fchmod(writer.get(), mode) == 0);
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  ::unlink(path);
  REQUIRE(fd.valid());
  return fd;
}

bool wait_readable(int fd) {
  pollfd waited{.fd = fd, .events = POLLIN};
  return ::poll(&waited, 1, 10'000) == 1;
}

std::string identity(int fd) {
  struct stat status{};
  REQUIRE(::fstat(fd, &status) == 0);
  return std::to_string(status.st_dev) + " " + std::to_string(status.st_ino);
}

struct Pipe {
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
  UniqueFd reader, writer;
};

// Runs the probe to its end and returns the lines it wrote.
std::set<std::string> probe(std::vector<InheritedFd> inherited, Pipe& pipe, int out) {
  inherited.push_back({pipe.writer.get(), out});
  const UniqueFd binary = open_probe();
  auto child = spawn({.binary_fd = binary.get(),
                      .arguments = {"probe", std::to_string(out), "report"},
                      .inherited = inherited});
  REQUIRE(child);
  pipe.writer.reset();
  std::string text;
  char bytes[4096];
  while (wait_readable(pipe.reader.get())) {
    const ssize_t count = ::read(pipe.reader.get(), bytes, sizeof bytes);
    if (count <= 0) break;
    text.append(bytes, static_cast<std::size_t>(count));
  }
  REQUIRE(wait_readable(child->pidfd.get()));
  REQUIRE(reap(child->pidfd.get()));
  std::set<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.insert(line);
  return lines;
}

}  // namespace

TEST_CASE("spawn: descriptors arrive at their targets, and no other is inherited") {
  Pipe pipe;
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd zero(::open("/dev/zero", O_RDONLY));  // inheritable by accident
  const std::string file_id = identity(file.get());
  const std::string pipe_id = identity(pipe.writer.get());
  const auto lines = probe({{file.get(), 7}}, pipe, 5);
  CHECK(lines == std::set<std::string>{"fd 7 " + file_id, "fd 5 " + pipe_id, "leads"});
}

TEST_CASE("spawn: sources may be targets of each other") {
  Pipe pipe;
  const UniqueFd a(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd b(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const std::string a_id = identity(a.get());
  const std::string b_id = identity(b.get());
  const int out = pipe.reader.get();  // a number in use here
  const std::string out_id = identity(pipe.writer.get());
  // Swapped, with one kept where it is, and one given twice.
  const auto lines = probe({{a.get(), b.get()}, {b.get(), a.get()}, {b.get(), 200}}, pipe, out);
  CHECK(lines == std::set<std::string>{"fd " + std::to_string(b.get()) + " " + a_id,
                                       "fd " + std::to_string(a.get()) + " " + b_id,
                                       "fd 200 " + b_id, "fd " + std::to_string(out) + " " + out_id,
                                       "leads"});
}

TEST_CASE("spawn: a descriptor may stay at its own number, and the sources stay close-on-exec") {
  Pipe pipe;
  const int number = pipe.writer.get();
  const std::string id = identity(number);
  CHECK((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(probe({}, pipe, number).contains("fd " + std::to_string(number) + " " + id));
}

TEST_CASE("spawn: signals are unblocked and at their defaults in the child, unchanged here") {
  CHECK(test::in_child([] {
          sigset_t blocked;
          ::sigemptyset(&blocked);
          ::sigaddset(&blocked, SIGTERM);
          ::sigaddset(&blocked, SIGUSR1);
          ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
          ::signal(SIGPIPE, SIG_IGN);
          ::signal(SIGHUP, SIG_IGN);
          Pipe pipe;
          const auto lines = probe({}, pipe, 9);
          for (const std::string& line : lines) {
            if (line.starts_with("blocked") || line.starts_with("ignored")) return 1;
          }
          if (!lines.contains("leads")) return 2;
          sigset_t now;
          ::sigprocmask(SIG_SETMASK, nullptr, &now);
          return ::sigismember(&now, SIGTERM) == 1 ? 0 : 3;
        }) == 0);
}

TEST_CASE("spawn: a program that cannot run is this call's error and leaves nothing behind") {
  std::string elf(64, '\0');
  elf.replace(0, 4,
              "\x7f"
              "ELF");
  struct Row {
    const char* name;
    std::string content;
    mode_t mode;
    int code;
  };
  const Row rows[] = {
      {"not executable", elf, 0644, EACCES},
      {"text", "hello, world\n", 0755, ENOEXEC},
      {"empty", "", 0755, ENOEXEC},
      {"broken ELF", elf, 0755, ENOEXEC},
      {"script", "#!/bin/sh\nexit 0\n", 0755, ENOEXEC},
      {"script without an interpreter", "#!/does/not/exist\n", 0755, ENOEXEC},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const UniqueFd binary = program(row.content, row.mode);
    const auto before = test::open_fds();
    const auto child = spawn({.binary_fd = binary.get(), .arguments = {"wrong"}});
    REQUIRE_FALSE(child);
    CHECK(child.error().code == row.code);
    CHECK(child.error().text().starts_with("run wrong: "));
    CHECK(test::open_fds() == before);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // ECHILD
  }
  CHECK(spawn({.binary_fd = -1, .arguments = {"none"}}).error().code == EBADF);
}

TEST_CASE("spawn: an inherited descriptor that is none is an error, too") {
  const UniqueFd binary = open_probe();
  const auto child =
      spawn({.binary_fd = binary.get(), .arguments = {"probe"}, .inherited = {{1 << 20, 5}}});
  REQUIRE_FALSE(child);
  CHECK(child.error().code == EBADF);
}

TEST_CASE("spawn: too few descriptors is an error, not a child that vanishes") {
  CHECK(test::in_child([] {
          const UniqueFd binary = open_probe();
          for (int left = 0; left < 6; ++left) {
            // One limit a process, since it can only be lowered.
            const int result = test::in_child([&] {
              if (!test::leave_free_fds(left)) return 1;
              const auto child = spawn({.binary_fd = binary.get(), .arguments = {"probe"}});
              if (child) return 2;
              return child.error().code == EMFILE ? 0 : 3;
            });
            if (result == 2) return left > 0 ? 0 : 4;  // enough at last
            if (result != 0) return 10 + result;
          }
          return 5;
        }) == 0);
}

TEST_CASE("spawn: runs the file that was opened, whatever its path holds by now") {
  const UniqueFd memory(::memfd_create("probe", MFD_CLOEXEC));
  const UniqueFd source = open_probe();
  char bytes[65536];
  for (ssize_t count; (count = ::read(source.get(), bytes, sizeof bytes)) > 0;) {
    REQUIRE(::write(memory.get(), bytes, static_cast<std::size_t>(count)) == count);
  }
  const auto child = spawn({.binary_fd = memory.get(), .arguments = {"probe", "-1", "exit", "3"}});
  REQUIRE(child);
  REQUIRE(wait_readable(child->pidfd.get()));
  CHECK(reap(child->pidfd.get())->code == 3);
}

TEST_CASE("reap: tells how a child ended, once, and only when it has") {
  const UniqueFd binary = open_probe();
  const auto child = spawn({.binary_fd = binary.get(), .arguments = {"probe", "-1", "wait"}});
  REQUIRE(child);
  CHECK((::fcntl(child->pidfd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  const auto running = reap(child->pidfd.get());
  REQUIRE_FALSE(running);
  CHECK(running.error().code == 0);
  CHECK(send_signal(child->pidfd.get(), SIGTERM));
  REQUIRE(wait_readable(child->pidfd.get()));
  const auto ended = reap(child->pidfd.get());
  REQUIRE(ended);
  CHECK(ended->signal == SIGTERM);
  CHECK(reap(child->pidfd.get()).error().code == ECHILD);
  CHECK_FALSE(send_signal(child->pidfd.get(), SIGTERM));
}

TEST_CASE("exit status: says in words how a program ended") {
  struct Row {
    std::vector<std::string> words;
    ExitStatus status;
    const char* text;
  };
  const Row rows[] = {
      {{"exit", "0"}, {.code = 0}, "exited with status 0"},
      {{"exit", "127"}, {.code = 127}, "exited with status 127"},
      {{"kill", "9"}, {.signal = 9}, "killed by signal 9 (Killed)"},
      {{"kill", "15"}, {.signal = 15}, "killed by signal 15 (Terminated)"},
  };
  const UniqueFd binary = open_probe();
  for (const Row& row : rows) {
    CAPTURE(row.text);
    std::vector<std::string> arguments{"probe", "-1"};
    arguments.insert(arguments.end(), row.words.begin(), row.words.end());
    const auto child = spawn({.binary_fd = binary.get(), .arguments = arguments});
    REQUIRE(child);
    REQUIRE(wait_readable(child->pidfd.get()));
    const auto ended = reap(child->pidfd.get());
    REQUIRE(ended);
    CHECK(ended->code == row.status.code);
    CHECK(ended->signal == row.status.signal);
    CHECK(ended->text() == row.text);
  }
}
TEST_CASE("process: it is known again as long as it runs, and is not taken for another") {
  const UniqueFd binary = open_probe();
  const auto child = spawn({.binary_fd = binary.get(), .arguments = {"probe", "-1", "wait"}});
  REQUIRE(child);
  const auto identity = process_identity(child->pid);
  REQUIRE(identity);
  CHECK(process_identity(child->pid).value() == *identity);
  CHECK(process_identity(::getpid()).value() != *identity);
  CHECK(find_process(child->pid, *identity));
  CHECK_FALSE(find_process(::getpid(), *identity));
  CHECK_FALSE(find_process(-1, *identity));
  send_signal(child->pidfd.get(), SIGKILL);
  REQUIRE(wait_readable(child->pidfd.get()));
  CHECK_FALSE(find_process(child->pid, *identity));  // a zombie, still
  REQUIRE(reap(child->pidfd.get()));
  CHECK_FALSE(find_process(child->pid, *identity));
}

TEST_CASE(
    "process: it is known again by one that sees the boot, or does not, unlike the one before") {
  CHECK(is_same_process("boot 17", "boot 17"));
  CHECK(is_same_process(" 17", "boot 17"));
  CHECK(is_same_process("boot 17", " 17"));
  CHECK(is_same_process(" 17", " 17"));
  CHECK_FALSE(is_same_process("boot 17", "boot 18"));
  CHECK_FALSE(is_same_process(" 17", "boot 18"));
  CHECK_FALSE(is_same_process("boot 17", " 7"));
  CHECK_FALSE(is_same_process("boot 17", "reboot 17"));
  CHECK_FALSE(is_same_process("", ""));  // of one whose identity nobody could read
  CHECK_FALSE(is_same_process("boot 17", ""));
  const auto identity = process_identity(::getpid());
  REQUIRE(identity);
  CHECK(find_process(::getpid(), identity->substr(identity->find(' '))));
}

TEST_CASE("process: a program that cannot be run in place of this one leaves all as it was") {
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int kept[] = {nothing.get()};
  const Error error =
      replace_program({.binary_fd = nothing.get(), .arguments = {"nothing"}, .kept = kept});
  CHECK(error.code == EACCES);
  CHECK((::fcntl(nothing.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("process: signals that are held come when they are let go") {
  static volatile sig_atomic_t seen = 0;
  ::signal(SIGUSR2, [](int) { seen = 1; });
  {
    const HeldSignals held;
    ::raise(SIGUSR2);
    CHECK(seen == 0);
  }
  CHECK(seen == 1);
  ::signal(SIGUSR2, SIG_DFL);
}

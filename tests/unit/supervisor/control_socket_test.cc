#include "supervisor/control_socket.h"

#include <doctest/doctest.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <tuple>

#include "shared/os/socket_address.h"
#include "supervisor/state_file.h"
#include "temporary_directory.h"

namespace baton::supervisor {
namespace {

using Code = ControlSocketError::Code;

// One environment variable for the length of a test.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  ~Environment() { before_.empty() ? ::unsetenv(name_) : ::setenv(name_, before_.c_str(), 1); }

 private:
  const char* name_;
  std::string before_;
};

TEST_CASE("control socket: is the owner's alone, and leaves nothing behind") {
  TemporaryDirectory directory;
  const std::string path = directory / "new/control.sock";
  FdTable fds;
  auto claimed = claim_control_socket(fds, path, "", MissingDirectory::Create);
  REQUIRE(claimed);
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  release_control_socket(fds, *claimed);
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("control socket: while it is held, another claim says by whom") {
  TemporaryDirectory directory;
  const std::string path = directory / "control.sock";
  FdTable fds;
  auto first = claim_control_socket(fds, path, "", MissingDirectory::Create);
  REQUIRE(first);
  const auto second = claim_control_socket(fds, path, "", MissingDirectory::Create);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::InUse);
  CHECK(second.error().text.ends_with("process " + std::to_string(::getpid())));
  CHECK(connect_control_socket(path));
  release_control_socket(fds, *first);
}

TEST_CASE("control socket: what a dead process left is taken over") {
  TemporaryDirectory directory;
  const std::string path = directory / "control.sock";
  const pid_t child = ::fork();
  if (child == 0) {
    FdTable fds;
    ::_exit(claim_control_socket(fds, path, "", MissingDirectory::Create) ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  REQUIRE(std::filesystem::exists(path));
  FdTable fds;
  auto claimed = claim_control_socket(fds, path, "", MissingDirectory::Create);
  REQUIRE(claimed);
  CHECK(connect_control_socket(path));
  release_control_socket(fds, *claimed);
}

TEST_CASE("control socket: with its lock file removed, it is still the holder's") {
  TemporaryDirectory directory;
  const std::string path = directory / "control.sock";
  FdTable fds;
  auto first = claim_control_socket(fds, path, "", MissingDirectory::Create);
  REQUIRE(first);
  std::filesystem::remove(path + ".lock");
  const auto second = claim_control_socket(fds, path, "", MissingDirectory::Create);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::InUse);
  CHECK(second.error().text == path + " is in use by process " + std::to_string(::getpid()));
  CHECK(connect_control_socket(path));
  CHECK_FALSE(std::filesystem::exists(path + ".lock"));
  release_control_socket(fds, *first);
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("control socket: with all files removed, it is the next one's, who keeps it") {
  TemporaryDirectory directory;
  const std::string path = directory / "control.sock";
  FdTable fds;
  auto first = claim_control_socket(fds, path, "", MissingDirectory::Create);
  REQUIRE(first);
  CHECK_FALSE(is_taken_over(fds, *first));
  std::filesystem::remove(path);
  std::filesystem::remove(path + ".lock");
  CHECK_FALSE(is_taken_over(fds, *first));  // by nobody yet
  auto second = claim_control_socket(fds, path, "", MissingDirectory::Create);
  REQUIRE(second);
  std::ofstream(state_file_path(path)) << "the second one's";
  CHECK(is_taken_over(fds, *first));
  CHECK_FALSE(is_taken_over(fds, *second));
  release_control_socket(fds, *first);
  CHECK(is_taken_over(fds, *first));
  CHECK(connect_control_socket(path));
  CHECK(std::filesystem::exists(state_file_path(path)));
  CHECK_FALSE(claim_control_socket(fds, path, "", MissingDirectory::Create));
  release_control_socket(fds, *second);
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("control socket: that of another program is not taken") {
  const std::string self = "process " + std::to_string(::getpid());
  for (const auto& [type, backlog, whom] :
       {std::tuple(SOCK_STREAM, 8, self), std::tuple(SOCK_SEQPACKET, 8, self),
        std::tuple(SOCK_SEQPACKET, 0, std::string("another program")),
        std::tuple(SOCK_DGRAM, 0, std::string("another program"))}) {
    CAPTURE(type);
    TemporaryDirectory directory;
    const std::string path = directory / "control.sock";
    const auto address = os::SocketAddress::parse("unix:" + path);
    const os::UniqueFd owner(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(owner.get(), address->data(), address->length()) == 0);
    if (type != SOCK_DGRAM) REQUIRE(::listen(owner.get(), backlog) == 0);
    const os::UniqueFd queued(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));  // fills a queue of one
    REQUIRE(::connect(queued.get(), address->data(), address->length()) == 0);
    FdTable fds;
    const auto claimed = claim_control_socket(fds, path, "", MissingDirectory::Create);
    REQUIRE_FALSE(claimed);
    CHECK(claimed.error().code == Code::InUse);
    CHECK(claimed.error().text == path + " is in use by " + whom);
    CHECK(std::filesystem::exists(path));
    CHECK_FALSE(std::filesystem::exists(path + ".lock"));
  }
}

TEST_CASE("control socket: refusals name their reason and touch nothing") {
  TemporaryDirectory directory;
  std::ofstream(directory / "file") << "precious";
  FdTable fds;
  const auto refused = [&fds](const std::string& path, const std::string& group) {
    const auto claimed = claim_control_socket(fds, path, group, MissingDirectory::Create);
    REQUIRE_FALSE(claimed);
    return claimed.error();
  };
  const ControlSocketError too_long = refused(directory / std::string(120, 'x'), "");
  CHECK(too_long.code == Code::BadUsage);
  CHECK(too_long.text.find("107 are the limit") != std::string::npos);
  CHECK(refused(directory / "file", "").text.find("not a socket") != std::string::npos);
  CHECK(std::filesystem::file_size(directory / "file") == 8);
  CHECK_FALSE(std::filesystem::exists(directory / "file.lock"));
  CHECK(refused(directory / "a", "no-such-group").text == "no such group: no-such-group");
  CHECK(refused(directory / "new/newer/a", "").text.starts_with("create directory"));
  CHECK(refused(directory / "file/a", "").text.find("Not a directory") != std::string::npos);
}

TEST_CASE("control socket: one that may not be given to its group leaves nothing behind") {
  TemporaryDirectory directory;
  constexpr int kNotTried = 2;
  std::filesystem::permissions(directory.path(), std::filesystem::perms::all);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool root = ::geteuid() == 0;
    if (root && (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0)) {
      ::_exit(kNotTried);
    }
    if (::getegid() == 0) ::_exit(kNotTried);
    FdTable fds;
    const auto claimed =
        claim_control_socket(fds, directory / "new/control.sock", "root", MissingDirectory::Create);
    ::_exit(!claimed && claimed.error().text.starts_with("give to the control group") ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotTried) {
    MESSAGE("not tried: whoever runs this may give files to the group root, or has no other user");
    return;
  }
  REQUIRE(status == 0);
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("control socket: a directory that somebody has mistyped is not created") {
  TemporaryDirectory directory;
  FdTable fds;
  const auto claimed =
      claim_control_socket(fds, directory / "typo/control.sock", "", MissingDirectory::Refuse);
  REQUIRE_FALSE(claimed);
  CHECK(claimed.error().code == Code::Failed);
  CHECK(claimed.error().text ==
        "the control socket's directory does not exist: " + (directory / "typo"));
  CHECK(std::filesystem::is_empty(directory.path()));
}

TEST_CASE("control socket: the usual path follows the environment") {
  {
    const Environment systemd("RUNTIME_DIRECTORY", "/run/one:/run/two");
    CHECK(default_control_path().value() == "/run/one/control.sock");
  }
  const Environment none("RUNTIME_DIRECTORY", nullptr);
  const Environment user("XDG_RUNTIME_DIR", "/run/user/7");
  const bool root = ::geteuid() == 0;
  CHECK(default_control_path().value() ==
        (root ? "/run/baton/control.sock" : "/run/user/7/baton/control.sock"));
}

}  // namespace
}  // namespace baton::supervisor

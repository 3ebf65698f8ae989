#include "supervisor/program_path.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "supervisor/install_paths.h"

namespace baton::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr char kSelf[] = "/proc/self/exe";
// Of links from one to the next, as many as the kernel follows.
constexpr int kMostLinks = 40;

// Where it was when it was started, without a link in it.
fs::path real_path() {
  constexpr std::string_view kDeleted = " (deleted)";  // proc(5): replaced since
  std::error_code error;
  std::string path = fs::read_symlink(kSelf, error).string();
  if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
  return path;
}

bool same_file(const fs::path& one, const fs::path& other) {
  std::error_code error;
  return fs::equivalent(one, other, error);
}

// Beside a supervisor at that path.
std::optional<fs::path> proxy_beside(const fs::path& supervisor) {
  const fs::path directory = supervisor.parent_path();
  for (const fs::path& candidate :
       {directory / "proxy", directory.parent_path() / "proxy" / "proxy"}) {
    std::error_code error;
    if (fs::is_regular_file(candidate, error)) return candidate;
  }
  return std::nullopt;
}

}  // namespace

os::Result<std::string> absolute_path(const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::absolute(path, error);
  if (error) return std::unexpected(os::Error{error.value(), "getcwd", path.string()});
  const bool upwards = std::ranges::find(path, "..") != path.end();
  return upwards ? whole.string() : whole.lexically_normal().string();
}

std::string own_path() {
  const char* started = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  // Run from a descriptor, it is that one's number, and leads anywhere by now.
  if (started == nullptr || !same_file(started, kSelf) ||
      std::string_view(started).starts_with("/dev/fd/")) {
    return real_path().string();
  }
  return absolute_path(started).value_or(real_path().string());
}

std::string program_at(const std::string& path) {
  std::error_code error;
  const bool runs = fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
  return runs ? path : real_path().string();
}

// Along the links by which this program was started, the first that has the same proxy beside it
// as the program itself: in a directory for everybody's programs `proxy` may be anybody's.
std::string default_proxy_path() {
  const auto beside = proxy_beside(real_path());
  if (!beside) return kLibexecDirectory + std::string("/baton/proxy");
  fs::path path = own_path();
  for (int links = 0; links < kMostLinks; ++links) {
    const auto proxy = proxy_beside(path);
    if (proxy && same_file(*proxy, *beside)) {
      const fs::path plain = proxy->lexically_normal();
      return (same_file(plain, *beside) ? plain : *proxy).string();
    }
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / target;
  }
  return beside->string();
}

}  // namespace baton::supervisor

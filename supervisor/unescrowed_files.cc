#include "supervisor/unescrowed_files.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/os/log.h"
#include "shared/os/socket_address.h"

namespace baton::supervisor {
namespace {

std::optional<SocketFile> socket_at(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return std::nullopt;
  return SocketFile{.id = {.device = status.st_dev, .inode = status.st_ino},
                    .changed = {status.st_ctim.tv_sec, status.st_ctim.tv_nsec}};
}

// What was bound and has never listened answers like what nobody has any more.
bool refuses(const os::SocketAddress& address) {
  const os::UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), address.data(), address.length()) != 0 &&
         errno == ECONNREFUSED;
}

void remove_file(const os::SocketAddress& address, const std::optional<SocketFile>& before) {
  const std::string path = address.unix_path();
  const std::optional<SocketFile> there = socket_at(path);
  if (!there || there == before || !refuses(address)) return;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    log::warning("cannot remove {}: {}", path, os::error_text(errno));
  }
}

}  // namespace

void UnescrowedFiles::expect(const std::string& address, std::uint64_t generation) {
  const auto parsed = os::SocketAddress::parse(address);
  if (!parsed || !parsed->is_unix_path()) return;
  Expected first{.generation = generation, .before = socket_at(parsed->unix_path())};
  const auto [place, is_new] = expected_.try_emplace(address, first);
  if (!is_new) place->second.generation = generation;
}

void UnescrowedFiles::remove_those_of(std::uint64_t generation) {
  for (const auto& [address, expected] : expected_) {
    if (expected.generation != generation) continue;
    if (const auto parsed = os::SocketAddress::parse(address)) {
      remove_file(*parsed, expected.before);
    }
  }
  forget_those_of(generation);
}

void UnescrowedFiles::forget_those_of(std::uint64_t generation) {
  std::erase_if(expected_,
                [generation](const auto& each) { return each.second.generation == generation; });
}

}  // namespace baton::supervisor

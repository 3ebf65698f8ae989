#include "supervisor/state.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>

namespace baton::supervisor {

std::string Pair::files() const {
  return binary_path + " with " +
         (config_path.empty() ? "the built-in configuration" : config_path);
}

std::string Pair::text() const {
  return "generation " + std::to_string(generation) + " (" + version + ": " + files() + ")";
}

bool GenerationRecord::has(std::string_view feature) const {
  return std::ranges::find(features, feature) != features.end();
}

FileId file_id(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return {};
  return {.device = status.st_dev, .inode = status.st_ino};
}

os::Result<FileId> file_at(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return os::errno_error("stat", path);
  return FileId{.device = status.st_dev, .inode = status.st_ino};
}

double now() {
  const std::chrono::duration<double> since = std::chrono::system_clock::now().time_since_epoch();
  return since.count();
}

std::string_view status_name(const GenerationRecord& generation) {
  if (generation.role == Role::Dying) return "exited";
  switch (generation.phase) {
    case Phase::Starting:
    case Phase::Negotiating:
    case Phase::Inheriting:
    case Phase::Warming:
      return "starting";
    case Phase::Ready:
      return "ready";
    case Phase::Serving:
      return "serving";
    case Phase::Paused:
      return "paused";
    case Phase::Draining:
      return "draining";
  }
  return "";
}

std::string_view doing(const GenerationRecord& generation) {
  switch (generation.phase) {
    case Phase::Starting:
      return "while starting";
    case Phase::Negotiating:
      return "while negotiating";
    case Phase::Inheriting:
      return "while inheriting";
    case Phase::Warming:
      return "while warming";
    case Phase::Ready:
      return "while beginning to serve";
    case Phase::Serving:
      return generation.role == Role::Candidate ? "in probation" : "while serving";
    case Phase::Paused:
      return "while paused";
    case Phase::Draining:
      return "while draining";
  }
  return "";
}

}  // namespace baton::supervisor

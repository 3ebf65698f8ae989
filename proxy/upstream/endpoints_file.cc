#include "proxy/upstream/endpoints_file.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>

#include "proxy/config/address_text.h"
#include "shared/os/log.h"
#include "shared/os/memfd.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

constexpr std::uint32_t kMostWeight = 1000;
// What may give the path another content: the end of writing (not each write), and names that come,
// go or are moved. A file that has just been created is half written: its end of writing counts.
constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                  IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// A new name that has its content at once.
bool is_link(const std::filesystem::path& path) {
  std::error_code none;
  return std::filesystem::is_symlink(path, none) ||
         std::filesystem::hard_link_count(path, none) > 1;
}

std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t begin = std::min(line.find_first_not_of(kBlanks), line.size());
  const std::size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::expected<FoundEndpoint, std::string> parse_line(std::string_view line) {
  const std::string_view first = next_word(line);
  const auto address = parse_address_text(std::string(first));
  if (!address) return std::unexpected(address.error());
  FoundEndpoint endpoint{.address = *address};
  if (!address->is_unix() && address->port() == 0) {
    return std::unexpected("nothing can be reached on port 0");
  }
  if (const std::string_view weight = next_word(line); !weight.empty()) {
    const char* const end = weight.data() + weight.size();
    const auto [rest, error] = std::from_chars(weight.data(), end, endpoint.weight);
    if (error != std::errc() || rest != end || endpoint.weight == 0 ||
        endpoint.weight > kMostWeight) {
      return std::unexpected("the weight is not a whole number from 1 to 1000");
    }
  }
  if (!next_word(line).empty()) return std::unexpected("more than an address and a weight");
  return endpoint;
}

}  // namespace

EndpointsFile::Stamp EndpointsFile::Stamp::of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size = status.st_size,
          .written_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

EndpointsFile::EndpointsFile(ev::loop_ref loop, std::string path, EndpointSourceSink& sink,
                             std::chrono::milliseconds poll_interval)
    : path_(std::move(path)),
      sink_(sink),
      poll_interval_(poll_interval),
      watcher_(loop),
      poll_(loop) {
  watcher_.set<EndpointsFile, &EndpointsFile::on_event>(this);
  poll_.set<EndpointsFile, &EndpointsFile::on_poll>(this);
}

std::expected<std::vector<FoundEndpoint>, std::string> EndpointsFile::parse(std::string_view text) {
  std::vector<FoundEndpoint> endpoints;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    std::string_view rest = line;
    if (next_word(rest).empty()) continue;
    auto endpoint = parse_line(line);
    if (!endpoint) {
      return std::unexpected("line " + std::to_string(number) + ": " + endpoint.error());
    }
    if (endpoints.size() == kMostEndpoints) {
      return std::unexpected("more than " + std::to_string(kMostEndpoints) + " endpoints");
    }
    endpoints.push_back(std::move(*endpoint));
  }
  return endpoints;
}

// Watched before it is read: a change in between is seen.
void EndpointsFile::start() {
  watch();
  poll_.start(os::seconds(poll_interval_), os::seconds(poll_interval_));
  read();
}

void EndpointsFile::watch() {
  watcher_.stop();
  inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_.valid()) return;
  const std::string directory = std::filesystem::path(path_).parent_path().string();
  if (::inotify_add_watch(inotify_.get(), directory.c_str(), kEvents | IN_ONLYDIR) < 0) {
    return inotify_.reset();
  }
  watcher_.start(inotify_.get(), ev::READ);
}

EndpointsFile::Events EndpointsFile::take_events() {
  const std::string own_name = std::filesystem::path(path_).filename().string();
  alignas(inotify_event) char room[4096];
  Events events;
  ssize_t count = 0;
  while ((count = ::read(inotify_.get(), room, sizeof room)) > 0) {
    for (ssize_t at = 0; at < count;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(room + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0) {
        events.directory_gone = true;
      }
      if (event->len == 0 || own_name != event->name) continue;
      if ((event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0 ||
          ((event->mask & IN_CREATE) != 0 && is_link(path_))) {
        events.written = true;
      }
    }
  }
  return events;
}

// Another name matters when the path leads through it, that is to another file by now.
void EndpointsFile::on_event(ev::io&, int) noexcept {
  const Events events = take_events();
  if (events.directory_gone) watch();
  if (events.written) return read();
  const Stamp now = Stamp::of(path_);
  if (now.same_file(read_)) return;
  std::error_code none;
  if (events.directory_gone || !now.exists() || std::filesystem::is_symlink(path_, none)) {
    return read();
  }
  read_ = {};
  half_written_ = true;  // created anew: its end of writing counts
}

void EndpointsFile::on_poll(ev::timer&, int) noexcept {
  const Stamp now = Stamp::of(path_);
  const Stamp before = std::exchange(polled_, now);
  const bool same_file = now.same_file(read_);
  const bool watched = inotify_.valid();
  // Another file may be in another directory, which is not the one that is watched.
  if (!watched || !same_file) watch();
  if (now == read_) return;
  // One that took another's place was moved there whole. One that is written in place, or has come
  // into being, may be half written until it rests.
  const bool whole = !same_file && read_.exists();
  rested_ = now == before ? rested_ + 1 : 0;
  if (whole || rested_ >= (watched && is_being_written(now) ? kPatientPolls : 1)) read();
}

// The end of writing is told where the directory is watched that the file itself is in, unless it
// is written under another name of it, or by another machine.
bool EndpointsFile::is_being_written(const Stamp& now) const {
  std::error_code none;
  if (!now.exists() || std::filesystem::is_symlink(path_, none)) return false;
  return now.same_file(read_) ? !now.same_content(read_) : half_written_;
}

void EndpointsFile::read() {
  half_written_ = false;
  rested_ = 0;
  read_ = Stamp::of(path_);  // ahead of the reading: what changes meanwhile is yet another change
  const auto text = os::read_file(path_, kLargestFile);
  if (!text) {
    read_ = {};  // to be tried again
    return fail(text.error().text());
  }
  auto endpoints = parse(*text);
  if (!endpoints) return fail(path_ + ": " + endpoints.error());
  if (!last_reason_.empty()) log::info("{}: good again", path_);
  last_reason_.clear();
  if (!blind_ && *endpoints == found_) return;
  found_ = std::move(*endpoints);
  pending_ = false;
  blind_ = false;
  sink_.on_looked();
}

void EndpointsFile::fail(const std::string& reason) {
  if (reason == last_reason_) return;
  last_reason_ = reason;
  log::warning("{}; the endpoints stay as they were", reason);
  sink_.on_failure();
  if (!std::exchange(pending_, false)) return;
  sink_.on_looked();
}

}  // namespace baton::proxy

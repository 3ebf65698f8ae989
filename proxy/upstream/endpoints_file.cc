#include "proxy/upstream/endpoints_file.h"

#include <sys/inotify.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>

#include "proxy/config/address_text.h"
#include "shared/os/log.h"
#include "shared/os/memfd.h"

namespace baton::proxy {
namespace {

constexpr double kRetrySeconds = 1.0;
constexpr std::uint32_t kMostWeight = 1000;
// What may give the path another content: the end of writing (not each write), and names that come,
// go or are moved. A file that has just been created is half written: its end of writing counts.
constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                  IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;

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

EndpointsFile::EndpointsFile(ev::loop_ref loop, std::string path, EndpointSourceSink& sink)
    : path_(std::move(path)), sink_(sink), watcher_(loop), retry_(loop) {
  watcher_.set<EndpointsFile, &EndpointsFile::on_event>(this);
  retry_.set<EndpointsFile, &EndpointsFile::on_retry>(this);
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
  if (!watch()) retry_.start(kRetrySeconds, kRetrySeconds);
  read();
}

bool EndpointsFile::watch() {
  watcher_.stop();
  inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_.valid()) return false;
  const std::string directory = std::filesystem::path(path_).parent_path().string();
  if (::inotify_add_watch(inotify_.get(), directory.c_str(), kEvents | IN_ONLYDIR) < 0) {
    inotify_.reset();
    return false;
  }
  watcher_.start(inotify_.get(), ev::READ);
  return true;
}

void EndpointsFile::on_event(ev::io&, int) noexcept {
  alignas(inotify_event) char room[4096];
  bool gone = false;
  bool changed = false;
  ssize_t count = 0;
  while ((count = ::read(inotify_.get(), room, sizeof room)) > 0) {
    for (ssize_t at = 0; at < count;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(room + at);
      gone = gone || (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0;
      const bool created = (event->mask & IN_CREATE) != 0;
      changed = changed || !created ||
                is_link(std::filesystem::path(path_).replace_filename(event->name));
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  if (gone && !watch()) retry_.start(kRetrySeconds, kRetrySeconds);
  if (changed) read();
}

void EndpointsFile::on_retry(ev::timer&, int) noexcept {
  if (watch()) retry_.stop();
  read();
}

void EndpointsFile::read() {
  const auto text = os::read_file(path_, kLargestFile);
  if (!text) return fail(text.error().text());
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

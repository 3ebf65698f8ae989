// Endpoints from a file that somebody else keeps up to date: one a line, an address and perhaps a
// weight; `#` begins a comment. The file's directory is watched, because who replaces a file in one
// piece renames another over it, or turns a symbolic link. What happens elsewhere (at a link's
// target, further up the path, to permissions) is found by a stat(2) now and then. A file with a
// mistake, or none at all, changes nothing and is logged once.
//
// Thread: main. Owns: the watch. Source: inotify(7), stat(2).
#pragma once

#include <ev++.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/upstream/endpoint_source.h"
#include "shared/os/unique_fd.h"

namespace baton::proxy {

class EndpointsFile final : public EndpointSource {
 public:
  static constexpr std::size_t kLargestFile = std::size_t{4} * 1024 * 1024;
  static constexpr std::size_t kMostEndpoints = 10'000;
  static constexpr std::chrono::seconds kPollInterval{1};
  static constexpr int kPatientPolls = 10;  // a writer whose end will be told may rest for so long

  EndpointsFile(ev::loop_ref loop, std::string path, EndpointSourceSink& sink,
                std::chrono::milliseconds poll_interval = kPollInterval);
  EndpointsFile(const EndpointsFile&) = delete;
  EndpointsFile& operator=(const EndpointsFile&) = delete;

  void start() override;

  // The error is "line 3: what is wrong".
  static std::expected<std::vector<FoundEndpoint>, std::string> parse(std::string_view text);

 private:
  // Which file is behind the path, and since when; all zero: none.
  struct Stamp {
    static Stamp of(const std::string& path);
    bool exists() const { return inode != 0; }
    bool same_file(const Stamp& other) const {
      return device == other.device && inode == other.inode;
    }
    bool same_content(const Stamp& other) const {
      return size == other.size && written_ns == other.written_ns;
    }
    bool operator==(const Stamp&) const = default;

    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t written_ns = 0;
    std::int64_t changed_ns = 0;
  };
  // What the directory's events say.
  struct Events {
    bool directory_gone = false;
    bool written = false;  // the path's own name has another content, all of it
  };

  bool is_being_written(const Stamp& now) const;
  void read();
  void fail(const std::string& reason);
  void watch();
  Events take_events();
  void on_event(ev::io& watcher, int events) noexcept;
  void on_poll(ev::timer& watcher, int events) noexcept;

  std::string path_;
  EndpointSourceSink& sink_;
  std::chrono::milliseconds poll_interval_;
  std::string last_reason_;  // empty: the last reading was good
  Stamp read_;               // at the last reading
  Stamp polled_;             // at the last poll
  bool half_written_ = false;
  int rested_ = 0;        // polls in a row that have found it as the one before
  os::UniqueFd inotify_;  // invalid: the directory cannot be watched yet
  ev::io watcher_;
  ev::timer poll_;
};

}  // namespace baton::proxy

// Endpoints from a file that somebody else keeps up to date: one a line, an address and perhaps a
// weight; `#` begins a comment. The file's directory is watched, because who replaces a file in one
// piece renames another over it, or turns a symbolic link. A file with a mistake, or none at all,
// changes nothing and is logged once.
//
// Thread: main. Owns: the watch. Source: inotify(7).
#pragma once

#include <ev++.h>

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

  EndpointsFile(ev::loop_ref loop, std::string path, EndpointSourceSink& sink);
  EndpointsFile(const EndpointsFile&) = delete;
  EndpointsFile& operator=(const EndpointsFile&) = delete;

  void start() override;

  // The error is "line 3: what is wrong".
  static std::expected<std::vector<FoundEndpoint>, std::string> parse(std::string_view text);

 private:
  void read();
  void fail(const std::string& reason);
  bool watch();
  void on_event(ev::io& watcher, int events) noexcept;
  void on_retry(ev::timer& watcher, int events) noexcept;

  std::string path_;
  EndpointSourceSink& sink_;
  std::string last_reason_;  // empty: the last reading was good
  os::UniqueFd inotify_;
  ev::io watcher_;
  ev::timer retry_;  // while the directory cannot be watched: looks by itself
};

}  // namespace baton::proxy

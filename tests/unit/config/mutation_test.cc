// A good file, damaged at random: whatever comes of it, the loader answers with a configuration or
// with lines, and never crashes.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "proxy/config/load_config.h"

namespace {

constexpr std::string_view kSeedFile = R"(# A file with a bit of everything.
[supervisor]
drain_time = "30s"
max_draining = 8
[proxy]
workers = 2
move_connections = true
[admin]
address = "127.0.0.1:9901"
[[listener]]
name = "db"
address = "unix:/run/x.sock"
protocol = "tcp"
idle_timeout = '1h'
cluster = "pg"
[[listener.filter]]
type = "tag"
sources = ["a", "b",
  """c""", '''d''']
limit = "64KiB"
[[listener]]
name = "hello"
address = "[::1]:80"
protocol = "tcp"
filter = [{ type = "direct_response", body = "x\r\n\u00e4" }]
[[cluster]]
name = "pg"
endpoints = ["127.0.0.1:1", { address = "127.0.0.1:2", weight = 3 }]
connect_timeout = "250ms"
[cluster.health_check]
type = "http"
path = "/up"
[cluster.outlier_detection]
consecutive_5xx = 3
[[cluster]]
name = "web"
endpoints = ["web.internal:80", "srv:_http._tcp.internal"]
endpoints_file = "/etc/web"
lb_policy = "maglev"
slow_start = "10s"
[cluster.keepalive]
max_idle_connections = 12
)";

constexpr std::string_view kHttpSeedFile = R"toml([[listener]]
name = "web"
address = "127.0.0.1:80"
protocol = "http"
[listener.http]
header_bytes = "16KiB"
header_count = 50
header_timeout = "5s"
upgrades = ["websocket", "irc/6.9"]
connect = true
[listener.access_log]
path = "/var/log/web.log"
json = { at = "%START_TIME%", agent = "%REQ(A?User-Agent):20% %%" }
[[listener.filter]]
type = "mark"
word = "x"
[[listener.route]]
name = "one"
host = "*.example.com"
path_prefix = "/a/"
methods = ["GET", "PUT"]
headers = [{ name = "X-A", regex = "a+(b|c)" }, { name = "X-B", present = false }]
clusters = [{ name = "pg", weight = 3 }, { name = "pg" }]
prefix_rewrite = "/"
request_headers = { set = { X-C = "%CLIENT_ADDRESS%" }, remove = ["Cookie"] }
retry = { on = ["reset", "retriable-codes"], codes = [429], budget_percent = 10 }
hash = { cookie = "id" }
[[listener.route]]
path_regex = '/b/(\d+)'
cluster = "pg"
regex_rewrite = { pattern = '(\d)', substitution = '-\1' }
[[listener.route]]
path = "/c"
redirect = { status = 302, host = "example.com:81", path = "/d?e" }
[[listener.route]]
direct_response = { status = 200, body = "%VERSION%", content_type = "text/html" }
[[cluster]]
name = "pg"
endpoints = ["127.0.0.1:1"]
)toml";

// What is special in TOML or to the loader, to be put anywhere.
const std::vector<std::string> kTokens{"[",
                                       "]",
                                       "[[",
                                       "]]",
                                       "{",
                                       "}",
                                       "\"",
                                       "'",
                                       "\"\"\"",
                                       "'''",
                                       "=",
                                       ".",
                                       ",",
                                       "#",
                                       "\n",
                                       "\r\n",
                                       "\\",
                                       "\\u0000",
                                       "\t",
                                       "\0",
                                       "\xff",
                                       "\xc3",
                                       "-1",
                                       "1e309",
                                       "0x",
                                       "inf",
                                       "nan",
                                       "1979-05-27",
                                       "true",
                                       "a.b.c",
                                       "99999999999999999999",
                                       "[a.b]",
                                       "[[listener]]",
                                       "[[listener.filter]]",
                                       "name = ",
                                       "\xef\xbb\xbf",
                                       "unix:",
                                       "::",
                                       "\"0\""};

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::string damaged(std::string text) {
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(text);
    return text;
  }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  void change(std::string& text) {
    if (text.empty()) text = "x";
    const std::size_t at = below(text.size());
    const std::size_t length = below(std::min<std::size_t>(text.size() - at, 40)) + 1;
    switch (below(6)) {
      case 0:
        text[at] = static_cast<char>(below(256));
        break;
      case 1:
        text.insert(at, kTokens[below(kTokens.size())]);
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(below(text.size()), text.substr(at, length));
        break;
      case 4:
        text.resize(at);
        break;
      case 5:
        text.replace(at, 1, kTokens[below(kTokens.size())]);
        break;
    }
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("a damaged file gives a configuration or lines with a place, never a crash") {
  REQUIRE(baton::proxy::load_config(kSeedFile, "f").has_value());
  Mutator mutator(20240229);
  std::size_t good = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string toml = mutator.damaged(std::string(kSeedFile));
    const auto config = baton::proxy::load_config(toml, "f");
    if (config) {
      ++good;
      continue;
    }
    REQUIRE_FALSE(config.error().empty());
    for (const auto& error : config.error()) {
      REQUIRE(error.line >= 1);
      REQUIRE(error.column >= 1);
      REQUIRE(error.text().find('\n') == std::string::npos);
    }
  }
  // Neither everything nor nothing, or the test would show little.
  CHECK(good > 100);
  CHECK(good < 19'900);
}

TEST_CASE("a damaged file of an HTTP listener gives a configuration or lines, never a crash") {
  const auto undamaged = baton::proxy::load_config(kHttpSeedFile, "f");
  if (!undamaged) {
    // Read completely: the protocol itself is what this version may refuse.
    REQUIRE(undamaged.error().size() == 1);
    REQUIRE(undamaged.error().front().key == "listener \"web\": protocol");
  }
  Mutator mutator(20240301);
  for (int round = 0; round < 20'000; ++round) {
    const std::string toml = mutator.damaged(std::string(kHttpSeedFile));
    const auto config = baton::proxy::load_config(toml, "f");
    if (config) continue;
    for (const auto& error : config.error()) {
      REQUIRE(error.line >= 1);
      REQUIRE(error.text().find('\n') == std::string::npos);
    }
  }
}

// Every mistake a configuration can have, one row each, with the exact lines a user sees.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "proxy/config/load_config.h"

using baton::proxy::load_config;

namespace {

std::string mistakes(std::string_view toml) {
  std::string lines;
  const auto config = load_config(toml, "f");
  if (config) return lines;
  for (const auto& error : config.error()) lines += error.text() + "\n";
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

constexpr std::string_view kListener = R"([[listener]]
name = "db"
address = "127.0.0.1:5432"
protocol = "tcp"
)";

constexpr std::string_view kGood = R"([[listener]]
name = "db"
address = "127.0.0.1:5432"
protocol = "tcp"
cluster = "pg"
[[cluster]]
name = "pg"
endpoints = ["127.0.0.1:15432"]
)";

struct MistakeRow {
  const char* what;
  std::string toml;
  std::vector<std::string> expected;
};

std::string with_good(std::string_view more) { return std::string(kGood) + std::string(more); }
std::string with_listener(std::string_view more) {
  return std::string(kListener) + std::string(more) +
         "\n[[cluster]]\nname = \"pg\"\nendpoints = [\"127.0.0.1:1\"]\n";
}
std::string with_address(std::string_view address) {
  return "[[listener]]\nname = \"db\"\nprotocol = \"tcp\"\ncluster = \"pg\"\naddress = \"" +
         std::string(address) + "\"\n[[cluster]]\nname = \"pg\"\nendpoints = [\"127.0.0.1:1\"]\n";
}
std::string with_cluster(std::string_view more) {
  return std::string(kListener) + "cluster = \"pg\"\n[[cluster]]\nname = \"pg\"\n" +
         std::string(more);
}
std::string deep_key() {
  std::string key = "a";
  for (int i = 0; i < 100'000; ++i) key += ".a";
  return key + " = 1\n";
}
const std::string kAddresses =
    R"(; allowed: "127.0.0.1:80", "[::1]:80", "0.0.0.0:80", "unix:/path" or "unix:@abstract")";
const std::string kEndpoints =
    R"(; allowed: "127.0.0.1:80", "[::1]:80", "unix:/path", "unix:@abstract", "host.name:80" or )"
    R"("srv:_service._tcp.host.name")";

std::vector<MistakeRow> rows() {
  return {
      // The file as a whole.
      {"an empty file", "", {"f:1:1: listener: is missing; allowed: one [[listener]] or more"}},
      {"no listener left",
       "listener = []",
       {"f:1:12: listener: is missing; allowed: one [[listener]] or more"}},
      {"a syntax error",
       "[[listener]]\nname = ",
       {"f:2:8: Error while parsing key-value pair: encountered end-of-file"}},
      {"a key twice",
       with_good("name = \"x\"\n"),
       {"f:9:8: Error while parsing key-value pair: cannot redefine existing string 'name'"}},
      {"bytes that are no UTF-8", "\xff\xfe", {"f:1:1: Encountered invalid utf-8 sequence"}},
      {"a key that nests too deeply",
       "[proxy]\n" + deep_key(),
       {"f:2:1: keys nest too deeply; allowed: 256 dots"}},
      {"an unknown section",
       with_good("[prxy]\n"),
       {R"(f:9:2: prxy: unknown key; did you mean "proxy"?)"}},
      {"a section that is nothing like one",
       with_good("[turbo]\n"),
       {"f:9:2: turbo: unknown key; allowed: supervisor, proxy, admin, listener, cluster"}},
      {"one bracket instead of two",
       "[listener]\nname = \"db\"\n",
       {"f:1:1: listener: expected an array of tables, [[listener]], found a table"}},
      {"two brackets instead of one",
       with_good("[[proxy]]\n"),
       {"f:9:1: proxy: expected a table, [proxy], found an array"}},
      {"a key with control characters",
       with_good("[proxy]\n\"a\\nb\" = 1\n"),
       {"f:10:1: proxy.\"a\\nb\": unknown key; allowed: workers, move_connections, dns_servers, "
        "warm_time"}},

      // [supervisor]
      {"a duration without unit",
       with_good("[supervisor]\ndrain_time = 30\n"),
       {R"(f:10:14: supervisor.drain_time: expected a duration, found an integer; allowed: a number with a unit: "500ms", "30s", "10m", "1h")"}},
      {"a malformed duration",
       with_good("[supervisor]\nstart_timeout = \"5x\"\n"),
       {R"(f:10:17: supervisor.start_timeout: "5x" is not a duration; allowed: a number with a unit: "500ms", "30s", "10m", "1h")"}},
      {"a duration out of range",
       with_good("[supervisor]\nprobation = \"2h\"\n"),
       {R"(f:10:13: supervisor.probation: "2h" is out of range; allowed: 0s to 1h)"}},
      {"an unknown strategy",
       with_good("[supervisor]\ndrain_strategy = \"slow\"\n"),
       {R"(f:10:18: supervisor.drain_strategy: "slow" is unknown; allowed: "gradual", "immediate")"}},
      {"too many draining generations",
       with_good("[supervisor]\nmax_draining = 33\n"),
       {"f:10:16: supervisor.max_draining: 33 is out of range; allowed: 1 to 32"}},

      // [proxy] and [admin]
      {"a negative number of workers",
       with_good("[proxy]\nworkers = -1\n"),
       {"f:10:11: proxy.workers: -1 is out of range; allowed: 0 to 64"}},
      {"a fraction of a worker",
       with_good("[proxy]\nworkers = 1.5\n"),
       {"f:10:11: proxy.workers: expected a whole number from 0 to 64, found a floating-point "
        "number"}},
      {"a word for a boolean",
       with_good("[proxy]\nmove_connections = \"yes\"\n"),
       {"f:10:20: proxy.move_connections: expected true or false, found a string"}},
      {"an admin without address",
       with_good("[admin]\n"),
       {"f:9:1: admin.address: is missing" + kAddresses}},
      {"admin on a listener's address",
       with_good("[admin]\naddress = \"127.0.0.1:5432\"\n"),
       {R"(f:3:11: listener "db": address: "127.0.0.1:5432" is listened on already, on line 10; allowed: an address of its own)"}},

      // Names.
      {"a listener without name",
       "[[listener]]\naddress = \"127.0.0.1:1\"\nprotocol = \"tcp\"\n[[listener.filter]]\ntype = "
       "\"direct_response\"\nbody = \"\"\n",
       {"f:1:1: listener #1: name: is missing; allowed: 1 to 64 letters, digits, '_', '.' and "
        "'-'"}},
      {"an empty name",
       with_good("[[cluster]]\nname = \"\"\nendpoints = [\"127.0.0.1:1\"]\n"),
       {R"(f:10:8: cluster "": name: "" cannot be a name; allowed: 1 to 64 letters, digits, '_', '.' and '-')"}},
      {"a name with a quote and a line feed",
       with_good("[[cluster]]\nname = \"a\\\"\\nb\"\nendpoints = [\"127.0.0.1:1\"]\n"),
       {R"(f:10:8: cluster "a\"\nb": name: "a\"\nb" cannot be a name)"
        "; allowed: 1 to 64 letters, digits, '_', '.' and '-'"}},
      {"a name that is too long",
       with_good("[[cluster]]\nname = \"" + std::string(65, 'n') +
                 "\"\nendpoints = [\"127.0.0.1:1\"]\n"),
       {R"(f:10:8: cluster ")" + std::string(64, 'n') + R"(...": name: ")" + std::string(64, 'n') +
        R"(..." cannot be a name; allowed: 1 to 64 letters, digits, '_', '.' and '-')"}},
      {"a name that is a number",
       with_good("[[cluster]]\nname = 5\nendpoints = [\"127.0.0.1:1\"]\n"),
       {"f:10:8: cluster #2: name: expected a string, found an integer"}},
      {"a cluster's name twice",
       with_good("[[cluster]]\nname = \"pg\"\nendpoints = [\"127.0.0.1:1\"]\n"),
       {R"(f:10:8: cluster "pg": name: "pg" is taken already, on line 7; allowed: a name of its own)"}},

      // Addresses.
      {"a host name",
       with_address("localhost:80"),
       {R"(f:5:11: listener "db": address: "localhost:80" names a host, which only an endpoint may)" +
        kAddresses}},
      {"no port",
       with_address("127.0.0.1"),
       {R"(f:5:11: listener "db": address: "127.0.0.1" is not an address: no port)" + kAddresses}},
      {"port 0",
       with_address("127.0.0.1:0"),
       {R"(f:5:11: listener "db": address: port 0 is a different port each time, which the next generation could not take over; allowed: 1 to 65535)"}},
      {"a port too large",
       with_address("127.0.0.1:65536"),
       {R"(f:5:11: listener "db": address: "127.0.0.1:65536" is not an address: the port must be a number from 0 to 65535)" +
        kAddresses}},
      {"IPv6 without brackets",
       with_address("::1:80"),
       {R"(f:5:11: listener "db": address: "::1:80" is not an address: an IPv6 address needs brackets, [::1])" +
        kAddresses}},
      {"IPv4 in IPv6 form",
       with_address("[::ffff:127.0.0.1]:80"),
       {R"(f:5:11: listener "db": address: "[::ffff:127.0.0.1]:80" is an IPv4 address in IPv6 form; allowed: the IPv4 form)"}},
      {"NUL in an address",
       with_address("127.0.0.1\\u0000:80"),
       {R"(f:5:11: listener "db": address: "127.0.0.1\x00:80" contains NUL)" + kAddresses}},
      {"a relative unix path",
       with_address("unix:x.sock"),
       {R"(f:5:11: listener "db": address: "unix:x.sock" is a relative path)" + kAddresses}},
      {"no unix path",
       with_address("unix:"),
       {R"(f:5:11: listener "db": address: "unix:" is not an address: no path)" + kAddresses}},
      {"a unix path too long",
       with_address("unix:/" + std::string(107, 'p')),
       {R"(f:5:11: listener "db": address: "unix:/)" + std::string(58, 'p') +
        R"(..." is not an address: path longer than 107 bytes)" + kAddresses}},
      {"an address that is a number",
       with_good("[admin]\naddress = 9901\n"),
       {"f:10:11: admin.address: expected an address, found an integer" + kAddresses}},

      // [[listener]]
      {"an unknown key",
       with_listener("cluster = \"pg\"\nidle_timout = \"1s\""),
       {R"(f:6:1: listener "db": idle_timout: unknown key; did you mean "idle_timeout"?)"}},
      {"what only another protocol has",
       with_listener(
           "cluster = \"pg\"\n[listener.http]\n[listener.access_log]\n[[listener.route]]\n"),
       {R"(f:6:1: listener "db": http: is for another protocol; allowed: with protocol = "http")",
        R"(f:7:1: listener "db": access_log: is for another protocol; allowed: with protocol = "http")",
        R"(f:8:1: listener "db": route: is for another protocol; allowed: with protocol = "http")"}},
      {"udp without a cluster, with what it does not know",
       "[[listener]]\nname = \"dns\"\naddress = \"127.0.0.1:53\"\nprotocol = \"udp\"\nbacklog = 5\n"
       "[[listener.filter]]\ntype = \"direct_response\"\n",
       {R"(f:1:1: listener "dns": cluster: is missing; allowed: the name of a cluster)",
        R"(f:5:11: listener "dns": backlog: is for another protocol; allowed: not with protocol = "udp")",
        R"(f:6:1: listener "dns": filter: is for another protocol; allowed: not with protocol = "udp")"}},
      {"udp to what takes no datagrams",
       "[[listener]]\nname = \"dns\"\naddress = \"127.0.0.1:53\"\nprotocol = \"udp\"\n"
       "cluster = \"pg\"\n[[cluster]]\nname = \"pg\"\nendpoints = [\"127.0.0.1:1\", "
       "\"unix:/run/x\"]\nsend_proxy_protocol = \"v2\"\n",
       {R"(f:8:13: cluster "pg": endpoints: the UDP listener "dns" sends datagrams here, and "unix:/run/x" is a unix address; allowed: IP addresses, and names)",
        R"(f:9:23: cluster "pg": send_proxy_protocol: the UDP listener "dns" sends datagrams here; allowed: clusters of TCP and HTTP listeners)"}},
      {"udp on a unix address",
       "[[listener]]\nname = \"dns\"\naddress = \"unix:/run/x\"\nprotocol = \"udp\"\n"
       "cluster = \"pg\"\n[[cluster]]\nname = \"pg\"\nendpoints = [\"127.0.0.1:1\"]\n",
       {R"(f:3:11: listener "dns": address: "unix:/run/x" is a unix address; allowed with protocol = "udp": an IP address and port)"}},
      {"no protocol",
       "[[listener]]\nname = \"db\"\naddress = \"127.0.0.1:80\"\n[[listener.filter]]\ntype = "
       "\"direct_response\"\nbody = \"\"\n",
       {R"(f:1:1: listener "db": protocol: is missing; allowed: "tcp", "udp", "http")"}},
      {"a cluster that does not exist",
       with_listener(R"(cluster = "redis")"),
       {R"(f:5:11: listener "db": cluster: there is no cluster "redis"; allowed: "pg")"}},
      {"a cluster that almost exists",
       with_listener(R"(cluster = "pgg")"),
       {R"(f:5:11: listener "db": cluster: there is no cluster "pgg"; did you mean "pg"?)"}},
      {"a cluster where there is none",
       std::string(kListener) + "cluster = \"pg\"\n",
       {R"(f:5:11: listener "db": cluster: there is no cluster "pg"; the file has no [[cluster]] at all)"}},
      {"an idle timeout of nothing",
       with_listener("cluster = \"pg\"\nidle_timeout = \"0\""),
       {R"(f:6:16: listener "db": idle_timeout: "0" is out of range; allowed: 1ms to 365d)"}},
      {"a backlog of nothing",
       with_listener("cluster = \"pg\"\nbacklog = 0"),
       {R"(f:6:11: listener "db": backlog: 0 is out of range; allowed: 1 to 65535)"}},
      {"a negative limit of connections",
       with_listener("cluster = \"pg\"\nmax_connections = -1"),
       {R"(f:6:19: listener "db": max_connections: -1 is out of range; allowed: 0 to 1000000000)"}},
      {"a listener that is a number",
       "listener = [1]",
       {"f:1:13: listener #1: expected a table, found an integer"}},
      {"one address twice",
       with_good("[[listener]]\nname = \"db2\"\naddress = \"127.0.0.1:5432\"\nprotocol = "
                 "\"tcp\"\ncluster = \"pg\"\n"),
       {R"(f:11:11: listener "db2": address: "127.0.0.1:5432" is listened on already, on line 3; allowed: an address of its own)"}},

      // [[listener.filter]]
      {"nothing ends the chain",
       with_listener(""),
       {R"(f:1:1: listener "db": cluster: is missing, and no filter ends the chain; allowed: the name of a cluster, or a last filter of type "direct_response", "tcp_proxy")"}},
      {"filters, but nothing ends the chain",
       with_listener("[[listener.filter]]\ntype = \"tag\""),
       {R"(f:1:1: listener "db": cluster: is missing, and no filter ends the chain; allowed: the name of a cluster, or a last filter of type "direct_response", "tcp_proxy")"}},
      {"an end too many",
       with_listener(
           "cluster = \"pg\"\n[[listener.filter]]\ntype = \"direct_response\"\nbody = \"\""),
       {R"(f:5:11: listener "db": cluster: the filter "direct_response" ends the chain already; allowed: one of the two)"}},
      {"an end in the middle",
       with_listener("[[listener.filter]]\ntype = \"direct_response\"\nbody = "
                     "\"\"\n[[listener.filter]]\ntype = \"tcp_proxy\"\ncluster = \"pg\""),
       {R"(f:6:8: listener "db": filter "direct_response": type: "direct_response" ends the chain, and another filter follows it; allowed: only as the last filter)"}},
      {"a filter without type",
       with_listener("[[listener.filter]]\nbody = \"\""),
       {R"(f:5:1: listener "db": filter #1: type: is missing; allowed: "direct_response", "tag", "tcp_proxy")"}},
      {"a filter that does not exist",
       with_listener("[[listener.filter]]\ntype = \"http\"\n"),
       {R"(f:6:8: listener "db": filter "http": type: "http" is not a filter; allowed: "direct_response", "tag", "tcp_proxy")"}},
      {"a filter's key is missing",
       with_listener("[[listener.filter]]\ntype = \"direct_response\"\nboody = \"\""),
       {R"(f:5:1: listener "db": filter "direct_response": body: is missing; allowed: a string)",
        R"(f:7:1: listener "db": filter "direct_response": boody: unknown key; did you mean "body"?)"}},
      {"a filter's cluster does not exist",
       with_listener("[[listener.filter]]\ntype = \"tcp_proxy\"\ncluster = \"px\""),
       {R"(f:7:11: listener "db": filter "tcp_proxy": cluster: there is no cluster "px"; did you mean "pg"?)"}},
      {"an element of a filter's list",
       with_listener("cluster = \"pg\"\n[[listener.filter]]\ntype = \"tag\"\nsources = "
                     "[\"good\",\n  \"bad\"]"),
       {R"(f:9:3: listener "db": filter "tag": sources: "bad" is bad)"}},
      {"an element of the wrong type",
       with_listener(
           "cluster = \"pg\"\n[[listener.filter]]\ntype = \"tag\"\nsources = [\"good\", 5, true]"),
       {R"(f:8:20: listener "db": filter "tag": sources: expected a string, found an integer)",
        R"(f:8:23: listener "db": filter "tag": sources: expected a string, found a boolean)"}},
      {"a malformed size",
       with_listener("cluster = \"pg\"\n[[listener.filter]]\ntype = \"tag\"\nlimit = \"64kb\""),
       {R"(f:8:9: listener "db": filter "tag": limit: "64kb" is not a size; allowed: a whole number with a unit: "512B", "64KiB", "10MiB", "1GiB")"}},
      {"one bracket for a filter",
       with_listener("[listener.filter]\ntype = \"tag\""),
       {R"(f:5:1: listener "db": filter: expected an array of tables, [[listener.filter]], found a table)"}},

      // [[cluster]]
      {"no endpoints",
       with_cluster(""),
       {R"(f:6:1: cluster "pg": endpoints: is missing; allowed: an array of addresses or { address, weight })"}},
      {"empty endpoints",
       with_cluster("endpoints = []"),
       {R"(f:8:13: cluster "pg": endpoints: is empty; allowed: an array of addresses or { address, weight })"}},
      {"one endpoint without its array",
       with_cluster(R"(endpoints = "127.0.0.1:1")"),
       {R"(f:8:13: cluster "pg": endpoints: expected an array, found a string)"}},
      {"an endpoint that is a number",
       with_cluster(R"(endpoints = ["127.0.0.1:1", 80])"),
       {R"(f:8:29: cluster "pg": endpoints #2: expected a string or a table, found an integer)"}},
      {"endpoints of several kinds, each wrong in its own way",
       with_cluster(R"(endpoints = [3, {}, "db.internal:99999"])"),
       {R"(f:8:14: cluster "pg": endpoints #1: expected a string or a table, found an integer)",
        R"(f:8:17: cluster "pg": endpoints #2: address: is missing)" + kEndpoints,
        R"(f:8:21: cluster "pg": endpoints #3: "db.internal:99999" has no port from 1 to 65535)" +
            kEndpoints}},
      {"an endpoint by host name without a port",
       with_cluster(R"(endpoints = ["db.internal:80", "db.internal:99999", "db..internal:1"])"),
       {R"(f:8:32: cluster "pg": endpoints #2: "db.internal:99999" has no port from 1 to 65535)" +
            kEndpoints,
        R"(f:8:53: cluster "pg": endpoints #3: "db..internal:1" is not a domain name)" +
            kEndpoints}},
      {"a service without a name",
       with_cluster(R"(endpoints = ["srv:_http._tcp.example", "srv:"])"),
       {R"(f:8:40: cluster "pg": endpoints #2: "srv:" is not a domain name)" + kEndpoints}},
      {"an endpoint on port 0",
       with_cluster(R"(endpoints = ["127.0.0.1:0"])"),
       {R"(f:8:14: cluster "pg": endpoints #1: nothing can be reached on port 0)" + kEndpoints}},
      {"an endpoint without address",
       with_cluster("endpoints = [{ weight = 1 }]"),
       {R"(f:8:14: cluster "pg": endpoints #1: address: is missing)" + kEndpoints}},
      {"an endpoint's weight",
       with_cluster(
           R"(endpoints = [{ address = "127.0.0.1:1", weight = 0 }, { address = "127.0.0.1:1", weight = 1001 }])"),
       {R"(f:8:50: cluster "pg": endpoints #1: weight: 0 is out of range; allowed: 1 to 1000)",
        R"(f:8:91: cluster "pg": endpoints #2: weight: 1001 is out of range; allowed: 1 to 1000)"}},
      {"an endpoint's unknown key",
       with_cluster(R"(endpoints = [{ address = "127.0.0.1:1", wieght = 1 }])"),
       {R"(f:8:41: cluster "pg": endpoints #1: wieght: unknown key; did you mean "weight"?)"}},
      {"an unknown policy",
       with_cluster("endpoints = [\"127.0.0.1:1\"]\nlb_policy = \"best\""),
       {R"(f:9:13: cluster "pg": lb_policy: "best" is unknown; allowed: "round_robin", "least_request", "random", "ring_hash", "maglev")"}},
      {"a file of endpoints by a relative path",
       with_cluster("endpoints_file = \"pg.txt\""),
       {R"(f:8:18: cluster "pg": endpoints_file: "pg.txt" is not an absolute path; allowed: "/path/to/file")"}},
      {"a health check without a type",
       with_cluster("endpoints = [\"127.0.0.1:1\"]\n[cluster.health_check]\ninterval = \"1s\""),
       {R"(f:9:1: cluster "pg": health_check.type: is missing; allowed: "tcp", "http")"}},
      {"a tcp health check with keys of http",
       with_cluster("endpoints = [\"127.0.0.1:1\"]\n[cluster.health_check]\ntype = \"tcp\"\npath = "
                    "\"/\""),
       {R"(f:11:8: cluster "pg": health_check.path: means nothing here; allowed: with type = "http")"}},
      {"a health check's path that would break the request",
       with_cluster(
           "endpoints = [\"127.0.0.1:1\"]\n[cluster.health_check]\ntype = \"http\"\npath = "
           "\"/a b\""),
       {R"(f:11:8: cluster "pg": health_check.path: "/a b" is not a path; allowed: "/", "/healthz", ...)"}},
      {"more than all endpoints ejected",
       with_cluster("endpoints = [\"127.0.0.1:1\"]\n[cluster.outlier_detection]\n"
                    "max_ejection_percent = 101"),
       {R"(f:10:24: cluster "pg": outlier_detection.max_ejection_percent: 101 is out of range; allowed: 0 to 100)"}},
      {"an unknown key of the pool",
       with_cluster("endpoints = [\"127.0.0.1:1\"]\n[cluster.keepalive]\nidle_timout = \"1s\""),
       {R"(f:10:1: cluster "pg": keepalive.idle_timout: unknown key; did you mean "idle_timeout"?)"}},
      {"a connect timeout out of range",
       with_cluster("endpoints = [\"127.0.0.1:1\"]\nconnect_timeout = \"2h\""),
       {R"(f:9:19: cluster "pg": connect_timeout: "2h" is out of range; allowed: 1ms to 1h)"}},
  };
}

}  // namespace

TEST_CASE("each mistake gets its line: place, key, what is wrong, what is allowed") {
  for (const MistakeRow& row : rows()) {
    CAPTURE(row.what);
    CAPTURE(row.toml);
    CHECK(mistakes(row.toml) == joined(row.expected));
  }
}

TEST_CASE("an address counts as used however it is spelled") {
  struct Spelling {
    const char* first;
    const char* second;
    const char* shown;
  };
  for (const Spelling& spelling : {Spelling{"[::1]:80", "[0:0:0:0:0:0:0:1]:80", "[::1]:80"},
                                   Spelling{"unix:/run/x", "unix:/run//./y/../x", "unix:/run/x"},
                                   Spelling{"unix:@x", "unix:@x", "unix:@x"}}) {
    CAPTURE(spelling.second);
    const std::string toml = with_address(spelling.first) + R"([[listener]]
name = "second"
protocol = "tcp"
cluster = "pg"
address = ")" + spelling.second +
                             "\"\n";
    CHECK(mistakes(toml) ==
          joined({R"(f:13:11: listener "second": address: ")" + std::string(spelling.shown) +
                  R"(" is listened on already, on line 5; )"
                  "allowed: an address of its own"}));
  }
}

TEST_CASE("a hopeless file is cut, and the last line says how much") {
  std::string toml(kGood);
  toml += "[proxy]\n";
  for (int i = 0; i < 150; ++i) toml += "zzz" + std::to_string(i) + " = 1\n";
  const auto config = load_config(toml, "f");
  REQUIRE_FALSE(config.has_value());
  CHECK(config.error().size() == 100);
  CHECK(config.error().back().text() == "f:109:1: and 51 more mistakes from here on");
}

TEST_CASE("all mistakes of a file come at once, in the order of their places") {
  const std::string_view toml = R"([proxy]
workers = 65
[[cluster]]
name = "pg"
endpoints = ["127.0.0.1:1", "nowhere"]
[[listener]]
name = "db"
adress = "127.0.0.1:5432"
protocol = "tcp"
cluster = "pq"
idle_timeout = "forever"
)";
  CHECK(mistakes(toml) ==
        joined({
            R"(f:2:11: proxy.workers: 65 is out of range; allowed: 0 to 64)",
            R"(f:5:29: cluster "pg": endpoints #2: "nowhere" is not an address: no port)" +
                kEndpoints,
            R"(f:6:1: listener "db": address: is missing)" + kAddresses,
            R"(f:8:1: listener "db": adress: unknown key; did you mean "address"?)",
            R"(f:10:11: listener "db": cluster: there is no cluster "pq"; did you mean "pg"?)",
            R"(f:11:16: listener "db": idle_timeout: "forever" is not a duration; allowed: )"
            R"(a number with a unit: "500ms", "30s", "10m", "1h")",
        }));
}

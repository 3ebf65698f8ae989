// Files of endpoints and answers of name servers, as they may come.
#include <doctest/doctest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>

#include "proxy/upstream/endpoints_file.h"
#include "proxy/upstream/srv_reply.h"
#include "tests/unit/fixture/loop_driver.h"
#include "tests/unit/supervisor/temporary_directory.h"

using namespace baton;
using namespace baton::fixture;
using namespace baton::proxy;
using namespace std::chrono_literals;

namespace {

std::string parsed(std::string_view text) {
  const auto endpoints = EndpointsFile::parse(text);
  if (!endpoints) return endpoints.error();
  std::string line;
  for (const FoundEndpoint& endpoint : *endpoints) {
    line += endpoint.address.text() + "*" + std::to_string(endpoint.weight) + " ";
  }
  return line;
}

constexpr auto kNever = 1h;    // events alone
constexpr auto kOften = 10ms;  // the poll

void write_in_place(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

void write_and_rename(const std::string& path, const std::string& text) {
  write_in_place(path + ".new", text);
  std::filesystem::rename(path + ".new", path);
}

void turn_link(const std::string& path, const std::string& target) {
  std::filesystem::create_symlink(target, path + ".new");
  std::filesystem::rename(path + ".new", path);
}

// A file of endpoints at `name` in a directory of its own; its endpoints are called by their ports.
struct FollowedFile final : EndpointSourceSink {
  void follow(const std::string& name, std::chrono::milliseconds poll_interval) {
    file.emplace(loop.ref(), directory / name, *this, poll_interval);
    file->start();
  }
  void on_looked() override {}
  void on_failure() override { ++failures; }

  std::string ports() const {
    std::string text;
    for (const FoundEndpoint& each : file->found()) {
      text += std::to_string(each.address.port()) + " ";
    }
    return text;
  }
  bool becomes(const std::string& expected) {
    return run_until(loop, [&] { return ports() == expected; });
  }
  // What they are once all events so far have been handled.
  std::string settled() {
    settle(loop);
    return ports();
  }
  void make(const std::string& name) { std::filesystem::create_directory(directory / name); }
  // 1/list and 2/list, with one endpoint each.
  void make_two_lists() {
    for (const std::string name : {"1", "2"}) {
      make(name);
      write_in_place(directory / (name + "/list"), "10.0.0.1:" + name);
    }
  }
  void rename(const std::string& from, const std::string& to) {
    std::filesystem::rename(directory / from, directory / to);
  }

  supervisor::TemporaryDirectory directory;
  EventLoop loop;
  int failures = 0;
  std::optional<EndpointsFile> file;
};

std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

const std::string kName("\4_web\4_tcp\4test\0", 16);
const std::string kHost("\4host\4test\0", 11);
const std::string kPointer("\xc0\x0c", 2);  // to the name in the question

std::string record(unsigned priority, unsigned weight, unsigned port, const std::string& host,
                   unsigned ttl = 300) {
  const std::string data = u16(priority) + u16(weight) + u16(port) + host;
  return kPointer + u16(33) + u16(1) + u16(0) + u16(ttl) + u16(static_cast<unsigned>(data.size())) +
         data;
}

std::string reply(const std::vector<std::string>& records) {
  std::string text = u16(1) + u16(0x8180) + u16(1) + u16(static_cast<unsigned>(records.size())) +
                     u16(0) + u16(0) + kName + u16(33) + u16(1);
  for (const std::string& each : records) text += each;
  return text;
}

auto parse(const std::string& message) {
  return parse_srv_reply({reinterpret_cast<const unsigned char*>(message.data()), message.size()});
}

}  // namespace

TEST_CASE("endpoints file: one a line, with comments, blanks and weights") {
  CHECK(parsed("").empty());
  CHECK(parsed("# nobody\n\n  \n").empty());
  CHECK(parsed("10.0.0.1:80") == "10.0.0.1:80*1 ");
  CHECK(parsed("10.0.0.1:80 5 # big\r\n\t[::1]:90\nunix:/run/x#y\n") ==
        "10.0.0.1:80*5 [::1]:90*1 unix:/run/x*1 ");
}

TEST_CASE("endpoints file: a mistake has its line") {
  CHECK(parsed("10.0.0.1:80\nten\n") == R"(line 2: "ten" is not an address: no port)");
  CHECK(parsed("a.test:80") == R"(line 1: "a.test:80" names a host, which only an endpoint may)");
  CHECK(parsed("10.0.0.1:0") == "line 1: nothing can be reached on port 0");
  for (const char* weight : {"0", "1001", "x", "-1", "1.5"}) {
    CHECK(parsed(std::string("\n10.0.0.1:80 ") + weight) ==
          "line 2: the weight is not a whole number from 1 to 1000");
  }
  CHECK(parsed("10.0.0.1:80 1 2") == "line 1: more than an address and a weight");
  std::string many;
  for (int i = 0; i <= 10'000; ++i) many += "10.0.0.1:80\n";
  CHECK(parsed(many) == "more than 10000 endpoints");
}

TEST_CASE("endpoints file: what happens in its directory is seen at once") {
  FollowedFile back;
  const std::string path = back.directory / "list";
  write_in_place(path, "10.0.0.1:1");
  back.follow("list", kNever);
  CHECK(back.ports() == "1 ");
  write_in_place(path, "10.0.0.1:2");
  CHECK(back.settled() == "2 ");
  write_and_rename(path, "10.0.0.1:3");
  CHECK(back.settled() == "3 ");
  std::filesystem::remove(path);
  CHECK(back.settled() == "3 ");
  CHECK(back.failures == 1);
  write_in_place(path, "10.0.0.1:4");
  CHECK(back.settled() == "4 ");
}

TEST_CASE("endpoints file: a link in its directory that its own leads through is seen at once") {
  FollowedFile back;
  back.make_two_lists();
  turn_link(back.directory / "..data", "1");
  turn_link(back.directory / "list", "..data/list");
  back.follow("list", kNever);
  CHECK(back.ports() == "1 ");
  turn_link(back.directory / "..data", "2");
  CHECK(back.settled() == "2 ");
}

TEST_CASE("endpoints file: another name's event does not have a half-written file read") {
  FollowedFile back;
  const std::string path = back.directory / "list";
  const std::string other = back.directory / "other";
  write_in_place(path, "10.0.0.1:1");
  back.follow("list", kNever);
  SUBCASE("written over") {}
  SUBCASE("created anew") { std::filesystem::remove(path); }
  std::ofstream writer(path);
  write_in_place(other, "");
  CHECK(back.settled() == "1 ");
  writer << "10.0.0.1:2\n" << std::flush;
  std::filesystem::remove(other);
  CHECK(back.settled() == "1 ");
  writer << "10.0.0.1:3\n";
  writer.close();
  CHECK(back.settled() == "2 3 ");
}

TEST_CASE("endpoints file: a change that its directory does not show is found by the poll") {
  FollowedFile back;
  back.make("real");
  back.make("real/a");
  write_in_place(back.directory / "real/a/list", "10.0.0.1:1");
  const auto make_second = [&](const std::string& name) {
    back.make(name);
    write_in_place(back.directory / (name + "/list"), "10.0.0.1:20");
  };
  SUBCASE("a link's target is written in place") {
    turn_link(back.directory / "list", "real/a/list");
    back.follow("list", kOften);
    write_in_place(back.directory / "real/a/list", "10.0.0.1:20");
  }
  SUBCASE("a link's target is renamed over") {
    turn_link(back.directory / "list", "real/a/list");
    back.follow("list", kOften);
    write_and_rename(back.directory / "real/a/list", "10.0.0.1:20");
  }
  SUBCASE("a directory in the path is a link that is turned") {
    turn_link(back.directory / "current", "real/a");
    back.follow("current/list", kOften);
    make_second("real/b");
    turn_link(back.directory / "current", "real/b");
  }
  SUBCASE("a directory further up is replaced") {
    back.follow("real/a/list", kOften);
    back.make("next");
    make_second("next/a");
    back.rename("real", "old");
    back.rename("next", "real");
  }
  SUBCASE("a directory further up goes and comes back") {
    back.follow("real/a/list", kOften);
    back.rename("real", "old");
    REQUIRE(run_until(back.loop, [&] { return back.failures == 1; }));
    CHECK(back.ports() == "1 ");
    write_in_place(back.directory / "old/a/list", "10.0.0.1:20");
    back.rename("old", "real");
  }
  CHECK(back.becomes("20 "));
}

TEST_CASE("endpoints file: the directory that has taken the other's place is watched, too") {
  FollowedFile back;
  back.make_two_lists();
  turn_link(back.directory / "current", "1");
  back.follow("current/list", 200ms);
  turn_link(back.directory / "current", "2");
  REQUIRE(back.becomes("2 "));
  write_in_place(back.directory / "2/list", "10.0.0.1:3");
  CHECK(back.settled() == "3 ");
}

TEST_CASE("endpoints file: the poll does not read a link's target that is being written") {
  FollowedFile back;
  back.make("real");
  const std::string target = back.directory / "real/list";
  write_in_place(target, "10.0.0.1:1");
  turn_link(back.directory / "list", "real/list");
  back.follow("list", kOften);
  std::ofstream writer(target);
  std::string all;
  for (int port = 2; port < 12; ++port) {
    writer << "10.0.0.1:" << port << "\n" << std::flush;
    all += std::to_string(port) + " ";
    back.loop.ref().run(ev::ONCE);  // not more than one poll
    CHECK(back.ports() == "1 ");
  }
  writer.close();
  CHECK(back.becomes(all));
}

TEST_CASE("endpoints file: one that may not be read is read when it may") {
  FollowedFile back;
  const std::string path = back.directory / "list";
  write_in_place(path, "10.0.0.1:1");
  REQUIRE(::chmod(back.directory.path().c_str(), 0755) == 0);
  REQUIRE(::chmod(path.c_str(), 0) == 0);
  const int user = ::setfsuid(65534);  // root, who may read anything, is nobody for a moment
  back.follow("list", kOften);
  ::setfsuid(static_cast<uid_t>(user));
  CHECK(back.ports().empty());
  CHECK(back.failures == 1);
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  CHECK(back.becomes("1 "));
  CHECK(back.failures == 1);
}

TEST_CASE("srv: all records, with what they say") {
  const auto records =
      parse(reply({record(2, 1, 1, kHost), record(1, 7, 80, kHost, 60), record(1, 0, 81, kHost)}));
  REQUIRE(records.has_value());
  REQUIRE(records->size() == 3);
  CHECK((*records)[0].priority == 2);
  CHECK((*records)[1].host == "host.test");
  CHECK((*records)[1].port == 80);
  CHECK((*records)[1].priority == 1);
  CHECK((*records)[1].weight == 7);
  CHECK((*records)[1].ttl_seconds == 60);
  CHECK((*records)[2].port == 81);
}

TEST_CASE("srv: a service that is decidedly not there, and records of other types") {
  CHECK(parse(reply({record(0, 0, 0, std::string("\0", 1))}))->empty());
  const std::string alias = kPointer + u16(5) + u16(1) + u16(0) + u16(9) + u16(2) + kPointer;
  CHECK(parse(reply({alias, record(1, 1, 80, kHost)}))->size() == 1);
  CHECK(parse(reply({}))->empty());
}

TEST_CASE("srv: whatever a name server sends is an answer or malformed") {
  const std::string good = reply({record(1, 7, 80, kHost), record(1, 0, 81, kPointer)});
  for (std::size_t length = 0; length < good.size(); ++length) {
    CHECK_FALSE(parse(good.substr(0, length)).has_value());
  }
  std::mt19937 random(11);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (int flips = 0; flips < 3; ++flips)
      bad[random() % bad.size()] = static_cast<char>(random());
    static_cast<void>(parse(bad));
  }
}

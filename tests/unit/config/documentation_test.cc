// docs/configuration.md against the loader: its examples load, and it lists the keys that the
// loader knows, no more and no less. What the loader knows it says itself, in its answer to an
// unknown key.
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "proxy/config/load_config.h"
#include "proxy/filter/registry.h"
#include "proxy/http/access_log/access_log_format.h"
#include "proxy/http/filter/registry.h"

namespace {

using Keys = std::set<std::string>;

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  REQUIRE(file.is_open());
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

const std::string kConfigurationPage = DOCUMENTATION "/configuration.md";
const std::string kExtendingPage = DOCUMENTATION "/extending.md";

// The blocks between "```language" and "```"; there is at least one.
std::vector<std::string> fenced(const std::string& page, const std::string& language) {
  std::vector<std::string> blocks;
  bool inside = false;
  for (const std::string& line : lines_of(page)) {
    if (line == "```" + language) {
      inside = true;
      blocks.emplace_back();
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      blocks.back() += line + "\n";
    }
  }
  REQUIRE_FALSE(blocks.empty());
  return blocks;
}

std::string errors_of(const std::string& toml) {
  std::string lines;
  const auto config = baton::proxy::load_config(toml, "f");
  if (config) return lines;
  for (const auto& error : config.error()) {
    // All of such a listener is read, but the last step is missing.
    if (error.message.starts_with(R"("http" is not available)")) continue;
    lines += error.text() + "\n";
  }
  return lines;
}

std::string joined(const Keys& keys) {
  std::string text;
  for (const std::string& key : keys) text += key + " ";
  return text;
}

// Each heading with the keys of the table below it: rows that begin with "| `key`".
std::map<std::string, Keys> documented() {
  std::map<std::string, Keys> sections;
  std::string heading;
  for (const std::string& line : lines_of(kConfigurationPage)) {
    if (line.starts_with("## ")) heading = line.substr(3);
    if (line.starts_with("### ")) heading = line.substr(4);
    if (!line.starts_with("| `")) continue;
    sections[heading].insert(line.substr(3, line.find('`', 3) - 3));
  }
  return sections;
}

// "...: kUnknown: unknown key; allowed: a, b, c" -> {a, b, c}
const std::string kUnknown = "zzzzzzzzzzzzzzzz";

Keys known(const std::string& toml) {
  const std::string errors = errors_of(toml);
  CAPTURE(toml);
  CAPTURE(errors);
  const std::string marker = kUnknown + ": unknown key; allowed: ";
  const std::size_t begin = errors.find(marker);
  REQUIRE(begin != std::string::npos);
  const std::size_t list = begin + marker.size();
  std::istringstream words(errors.substr(list, errors.find('\n', list) - list));
  Keys keys;
  for (std::string key; std::getline(words, key, ',');) {
    keys.insert(key.substr(key.find_first_not_of(' ')));
  }
  return keys;
}

Keys known_in_http(const std::string& toml) {
  return known("[[listener]]\nprotocol = \"http\"\n" + toml);
}
// `inline_table` ends with what is to be in it: "retry = {".
Keys known_in_route(const std::string& inline_table, const std::string& end) {
  return known_in_http("[[listener.route]]\n" + inline_table + " " + kUnknown + " = 1 " + end);
}

// The page's headings of HTTP listeners, with the keys that the loader knows there.
std::map<std::string, Keys> known_of_http() {
  const std::string unknown = kUnknown + " = 1\n";
  const std::string of_route = " of a `[[listener.route]]`";
  std::map<std::string, Keys> known{
      {"`[listener.http]`", known_in_http("[listener.http]\n" + unknown)},
      {"`[listener.access_log]`", known_in_http("[listener.access_log]\n" + unknown)},
      {"`[[listener.route]]`", known_in_http("[[listener.route]]\n" + unknown)},
      {"`headers`" + of_route, known_in_route("headers = [{", "}]")},
      {"`clusters`" + of_route, known_in_route("clusters = [{", "}]")},
      {"`redirect`" + of_route, known_in_route("redirect = {", "}")},
      {"`direct_response`" + of_route, known_in_route("direct_response = {", "}")},
      {"`regex_rewrite`" + of_route, known_in_route("regex_rewrite = {", "}")},
      {"`request_headers` and `response_headers`" + of_route,
       known_in_route("request_headers = {", "}")},
      {"`retry`" + of_route, known_in_route("retry = {", "}")},
      {"`hash`" + of_route, known_in_route("hash = {", "}")},
  };
  for (const auto& filter : baton::proxy::http::http_filters()) {
    const std::string type(filter.type);
    Keys keys = known_in_http("[[listener.filter]]\ntype = \"" + type + "\"\n" + unknown);
    keys.erase("type");
    known["HTTP filter `" + type + "`"] = keys;
  }
  return known;
}

// The access log tells its operators in its answer to an unknown one: "...; allowed: %A%, %B%".
Keys operators() {
  const auto format = baton::proxy::http::AccessLogFormat::text("%" + kUnknown + "%");
  REQUIRE_FALSE(format);
  const std::string marker = "allowed: ";
  std::istringstream words(format.error().substr(format.error().find(marker) + marker.size()));
  Keys names;
  for (std::string word; words >> word;) {
    if (!word.starts_with("%") || word == "%%") continue;
    names.insert(word.substr(0, word.rfind('%') + 1));
  }
  return names;
}

}  // namespace

TEST_CASE("documentation: every example of a configuration loads") {
  for (const std::string& page : {kConfigurationPage, kExtendingPage}) {
    CAPTURE(page);
    for (const std::string& toml : fenced(page, "toml")) {
      CAPTURE(toml);
      CHECK(errors_of(toml) == "");
    }
  }
}

TEST_CASE("configuration page: it lists the keys that the loader knows") {
  const std::string unknown = kUnknown + " = 1\n";
  std::map<std::string, Keys> expected{
      {"`[supervisor]`", known("[supervisor]\n" + unknown)},
      {"`[proxy]`", known("[proxy]\n" + unknown)},
      {"`[admin]`", known("[admin]\n" + unknown)},
      {"`[[listener]]`", known("[[listener]]\n" + unknown)},
      {"`[[cluster]]`", known("[[cluster]]\n" + unknown)},
      {"`[cluster.health_check]`", known("[[cluster]]\n[cluster.health_check]\n" + unknown)},
      {"`[cluster.outlier_detection]`",
       known("[[cluster]]\n[cluster.outlier_detection]\n" + unknown)},
      {"`[cluster.keepalive]`", known("[[cluster]]\n[cluster.keepalive]\n" + unknown)},
      {"`endpoints` of a `[[cluster]]`",
       known("[[cluster]]\nendpoints = [{ " + kUnknown + " = 1 }]\n")},
      {"`[[listener.filter]]`", {"type"}},
  };
  expected.merge(known_of_http());
  expected["Operators of the access log"] = operators();
  for (const auto& filter : baton::proxy::network_filters()) {
    const std::string type(filter.type);
    Keys keys = known("[[listener]]\n[[listener.filter]]\ntype = \"" + type + "\"\n" + unknown);
    keys.erase("type");
    expected["Filter `" + type + "`"] = keys;
  }
  for (const auto& [heading, keys] : documented()) {
    CAPTURE(heading);
    CHECK(joined(expected[heading]) == joined(keys));
    expected.erase(heading);
  }
  for (const auto& [heading, keys] : expected) FAIL_CHECK("missing on the page: " << heading);
}

TEST_CASE("configuration page: it has every section that the loader knows") {
  for (const std::string& section : known(kUnknown + " = 1\n")) {
    CAPTURE(section);
    const bool single = documented().contains("`[" + section + "]`");
    CHECK((single || documented().contains("`[[" + section + "]]`")));
  }
}

TEST_CASE("extending page: its code is the code of the sources") {
  std::string sources;
  for (const char* file :
       {"proxy/filter/ip_filter/ip_filter.cc", "proxy/filter/ip_filter/ip_rules.cc",
        "proxy/filter/ip_filter/read_ip_rules.cc", "proxy/filter/registry.cc",
        "proxy/http/filter/health/health.cc", "proxy/http/filter/registry.cc",
        "tests/unit/http_filters/health_test.cc"}) {
    for (const std::string& line : lines_of(std::string(SOURCES) + "/" + file)) {
      sources += line + "\n";
    }
  }
  for (const std::string& code : fenced(kExtendingPage, "cpp")) {
    CAPTURE(code);
    CHECK(sources.find(code) != std::string::npos);
  }
}

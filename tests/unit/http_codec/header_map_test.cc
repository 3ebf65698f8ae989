#include "proxy/http/codec/header_map.h"

#include <doctest/doctest.h>

#include <string>

#include "proxy/http/codec/characters.h"

namespace {

using namespace baton::proxy::http;
using namespace std::string_view_literals;

std::string lines_of(const HeaderMap& headers) {
  std::string text;
  for (const HeaderField& field : headers) {
    text.append(field.name()).append("=").append(field.value()).append(";");
  }
  return text;
}

TEST_CASE("header id: every known name is found in any case, and no other") {
  for (unsigned i = 1; i < static_cast<unsigned>(HeaderId::kCount); ++i) {
    const auto id = static_cast<HeaderId>(i);
    std::string name(header_name(id));
    CAPTURE(name);
    REQUIRE_FALSE(name.empty());
    CHECK(find_header_id(name) == id);
    for (char& c : name) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 0x20);
    }
    CHECK(find_header_id(name) == id);
    // Each token character in each place: only the other case is the same name.
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (int c = 0x21; c < 0x7f; ++c) {
        std::string other = name;
        other[at] = static_cast<char>(c);
        if (!is_token(other)) continue;
        CAPTURE(other);
        CHECK((find_header_id(other) == id) == equal_ignoring_case(other, name));
      }
    }
    CHECK(find_header_id(name + "x") != id);
    CHECK(find_header_id("x" + name) != id);
    CHECK(find_header_id(std::string_view(name).substr(1)) != id);
  }
  CHECK(find_header_id("a") == HeaderId::Other);
  CHECK(find_header_id("x-unknown") == HeaderId::Other);
}

TEST_CASE("header map: reads by id and by name, the first line of several") {
  HeaderMap headers;
  CHECK(headers.find(HeaderId::Via) == nullptr);
  CHECK(headers.find("X-A") == nullptr);
  headers.add("VIA", "1");
  headers.add("X-A", "2");
  headers.add(HeaderId::Via, "3");
  headers.add("x-a", "4");
  CHECK(headers.get(HeaderId::Via) == "1");
  CHECK(headers.get("via") == "1");
  CHECK(headers.get("x-A") == "2");
  CHECK(headers.get("x-b").empty());
  CHECK(headers.get("").empty());
  CHECK(headers.repeated(HeaderId::Via));
  CHECK(lines_of(headers) == "VIA=1;X-A=2;via=3;x-a=4;");
}

TEST_CASE("header map: set leaves one line, at the place of the first") {
  HeaderMap headers;
  for (const auto* const name : {"A", "Via", "B", "via", "a"}) headers.add(name, name);
  headers.set(HeaderId::Via, "new");
  headers.set("a", "new");
  headers.set("C", "new");
  CHECK(lines_of(headers) == "A=new;Via=new;B=B;C=new;");
  CHECK_FALSE(headers.repeated(HeaderId::Via));
  headers.set("B", headers.get("B"));
  CHECK(headers.get("B") == "B");
}

TEST_CASE("header map: remove takes all lines of a name") {
  HeaderMap headers;
  for (const auto* const name : {"A", "Via", "B", "via", "a"}) headers.add(name, name);
  CHECK(headers.remove(HeaderId::Via) == 2);
  CHECK(headers.remove(HeaderId::Via) == 0);
  CHECK(headers.remove("a") == 2);
  CHECK(headers.remove("Via") == 0);
  CHECK_FALSE(headers.has(HeaderId::Via));
  CHECK(lines_of(headers) == "B=B;");
  headers.add("Via", "again");
  CHECK(headers.has(HeaderId::Via));
  CHECK_FALSE(headers.repeated(HeaderId::Via));
}

TEST_CASE("header map: lookalikes are other names with '_' for '-', and go without them") {
  HeaderMap headers;
  const auto fill = [&] {
    headers.clear();
    for (const auto* const name : {"X-Real-IP", "X_Real_IP", "x_real-ip", "X_Realm", "X-User",
                                   "X_User", "x-user", "x_real_ipx"}) {
      headers.add(name, "1");
    }
  };
  fill();
  CHECK(headers.remove_lookalikes({HeaderId::XRealIp, HeaderId::Host}) == 2);
  CHECK(headers.remove_lookalikes("X-USER") == 1);
  CHECK(lines_of(headers) == "X-Real-IP=1;X_Realm=1;X-User=1;x-user=1;x_real_ipx=1;");
  fill();
  CHECK(headers.remove_lookalikes("x-real-ip") == 2);
  CHECK(headers.has(HeaderId::XRealIp));
  fill();
  CHECK(headers.remove_lookalikes("x_real_ip") == 2);
  CHECK_FALSE(headers.has(HeaderId::XRealIp));
  CHECK(headers.remove_lookalikes("x_user") == 2);
  CHECK(lines_of(headers) == "X_Real_IP=1;X_Realm=1;X_User=1;x_real_ipx=1;");
  CHECK(headers.remove_lookalikes("") == 0);
  CHECK(find_lookalike_id("x-real-ip") == HeaderId::Other);
  CHECK(find_lookalike_id("Proxy_Authorization") == HeaderId::ProxyAuthorization);
  CHECK(find_lookalike_id(std::string(100, '_')) == HeaderId::Other);
}

TEST_CASE("header map: nothing gets in that would be read as other lines") {
  HeaderMap headers;
  for (const std::string_view bad :
       {"a\r\nb: c"sv, "a\n"sv, "a\r"sv, "\0"sv, "a\x7f"sv, "\x01"sv}) {
    CHECK_FALSE(headers.add("A", bad));
    CHECK_FALSE(headers.set("A", bad));
    CHECK_FALSE(headers.add_borrowed("A", bad));
  }
  for (const std::string_view bad : {""sv, "a b"sv, "a:"sv, "a\r\n"sv, "\xe4"sv, "a\0"sv}) {
    CHECK_FALSE(headers.add(bad, "x"));
    CHECK_FALSE(headers.set(bad, "x"));
    CHECK_FALSE(headers.add_borrowed(bad, "x"));
  }
  CHECK_FALSE(headers.add(HeaderId::Other, "x"));
  CHECK_FALSE(headers.add_borrowed(HeaderId::Other, "x"));
  CHECK_FALSE(headers.add_borrowed(HeaderId::Host, "a\nb"));
  CHECK_FALSE(headers.add(std::string(70'000, 'a'), "x"));
  CHECK(headers.empty());
  CHECK(headers.add("A", " \tb c\t "));
  CHECK(headers.get("A") == "b c");
}

TEST_CASE("header map: added texts are copies, however many there are") {
  HeaderMap headers;
  for (int i = 0; i < 200; ++i) {
    std::string name = "X-" + std::to_string(i);
    std::string value(static_cast<std::size_t>(i), 'v');
    headers.add(name, value);
    name.assign(name.size(), '!');
    value.assign(value.size(), '!');
  }
  for (int i = 0; i < 200; ++i) {
    CHECK(headers.get("x-" + std::to_string(i)) == std::string(static_cast<std::size_t>(i), 'v'));
  }
  headers.clear();
  CHECK(headers.empty());
  CHECK(headers.find("x-1") == nullptr);
  headers.add("A", "b");
  CHECK(lines_of(headers) == "A=b;");
}

}  // namespace

// Lines of every length around the steps in which they are looked at, cut at every byte.
#include "proxy/http/codec/field_line.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

struct Read {
  LineEnd end;
  HeaderField field;
};

// From an allocation of just that size, so that a sanitizer sees a look beyond it.
Read read(std::string_view text) {
  const std::vector<char> exact(text.begin(), text.end());
  Read read;
  read.end = read_field_line(exact.data(), exact.data() + exact.size(), read.field);
  if (read.end.next != nullptr) CHECK(read.end.next == exact.data() + exact.size());
  return read;
}

void check_line(const std::string& name, const std::string& value) {
  const std::string line = name + ": " + value + "\r\n";
  CAPTURE(line);
  const std::string padded = line + "Next: line\r\n\r\n";
  HeaderField field;
  const LineEnd whole = read_field_line(padded.data(), padded.data() + padded.size(), field);
  REQUIRE(whole.next == padded.data() + line.size());
  CHECK(field.name() == name);
  CHECK(field.value() == value);
  CHECK(field.verbatim() == line);
  CHECK(read(line).end.next != nullptr);
  for (std::size_t size = 1; size < line.size(); ++size) {
    CAPTURE(size);
    const LineEnd cut = read(std::string_view(line).substr(0, size)).end;
    CHECK(cut.next == nullptr);
    CHECK(cut.rejection == nullptr);
  }
  for (std::size_t at = 0; at < line.size() - 2; ++at) {
    CAPTURE(at);
    for (const char bad : {'\0', '\x1f', '\x7f', '\r', '\n'}) {
      std::string broken = line;
      broken[at] = bad;
      CHECK(read(broken).end.rejection != nullptr);
    }
  }
}

}  // namespace

TEST_CASE("field line: lines of every length are read, waited for and refused alike") {
  for (std::size_t size = 1; size <= 40; ++size) {
    check_line("Host", std::string(size, 'v'));
    check_line("X-Something-Of-Ours", std::string(size, 'v'));
    check_line(std::string(size, 'n'), "v");
  }
}

TEST_CASE("field line: a known name is known in any case, and nothing else is") {
  for (std::size_t id = 1; id < static_cast<std::size_t>(HeaderId::kCount); ++id) {
    const std::string name(header_name(static_cast<HeaderId>(id)));
    CAPTURE(name);
    std::string upper = name;
    for (char& c : upper) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 0x20);
    }
    CHECK(find_header_id(name) == static_cast<HeaderId>(id));
    CHECK(find_header_id(upper) == static_cast<HeaderId>(id));
    for (std::size_t at = 0; at < name.size(); ++at) {
      for (int byte = 0x20; byte < 0x100; ++byte) {
        std::string other = name;
        other[at] = static_cast<char>(byte);
        const bool same = equal_ignoring_case(other, name);
        CHECK((find_header_id(other) == static_cast<HeaderId>(id)) == same);
      }
    }
  }
}

TEST_CASE(
    "field line: blanks around a value belong to neither, and it is no copy of the line then") {
  for (const std::string_view line :
       {"Host:v\r\n", "Host:  v\r\n", "Host:\tv\r\n", "Host: v \r\n"}) {
    const Read found = read(line);
    REQUIRE(found.end.next != nullptr);
    CHECK(found.field.line() == HeaderField::Line::Assembled);
  }
  HeaderField field;
  const std::string_view empty = "Host: \r\n";
  REQUIRE(read_field_line(empty.data(), empty.data() + empty.size(), field).next != nullptr);
  CHECK(field.value().empty());
  CHECK(field.line() == HeaderField::Line::Verbatim);
}

}  // namespace baton::proxy::http

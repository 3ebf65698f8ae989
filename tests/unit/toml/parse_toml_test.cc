#include "shared/toml/parse_toml.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "shared/toml/key_depth.h"

using namespace baton;

TEST_CASE("only dots of keys count towards their depth") {
  const std::string dots(kMostDots + 1, '.');
  const std::string fine(kMostDots, '.');
  struct Row {
    const char* what;
    std::string toml;
    std::optional<std::uint32_t> line;
  };
  for (const Row& row : {
           Row{"just within the bound", "a" + fine + "\n" + fine, std::nullopt},
           Row{"beyond it", "\n\na" + dots, 3},
           Row{"in a comment", "# " + dots, std::nullopt},
           Row{"in a string", "a = \"" + dots + "\"", std::nullopt},
           Row{"in a literal string", "a = '" + dots + "'", std::nullopt},
           Row{"in a long string", "a = \"\"\"\n" + dots + "\"\"\"", std::nullopt},
           Row{"after an escaped quote", "a = \"\\\"" + dots + "\"", std::nullopt},
           Row{"after a string", "a = \"\"" + dots, 1},
           Row{"after a long string that ends in quotes", "a = \"\"\"\n\"\"\"\"\"" + dots, 2},
           Row{"after a string that is not closed", "a = \"\n" + dots, 2},
           Row{"over the lines of an array", "a = [\n" + fine + "\n.]", 3},
           Row{"over the lines of a file", fine + "\n[a]\n" + fine, std::nullopt},
       }) {
    CAPTURE(row.what);
    CHECK(line_of_too_deep_key(row.toml) == row.line);
  }
}

TEST_CASE("what trips the library is a syntax error with a place") {
  struct Row {
    const char* toml;
    std::uint32_t line;
    std::uint32_t column;
  };
  for (const Row& row : {Row{"a = 1\n[[[a]]]", 2, 3}, Row{"[&", 1, 2}, Row{"[[=", 1, 3}}) {
    CAPTURE(std::string(row.toml));
    const auto result = parse_toml(row.toml);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().line == row.line);
    CHECK(result.error().column == row.column);
    CHECK(result.error().message.find("expected") != std::string::npos);
  }
}

// Under UBSan this shows what the library calls unreachable.
TEST_CASE("a character outside ASCII where none belongs is a syntax error") {
  for (const char* character : {"\u00e4", "\u2028", "\uFE70", "\uFEFC", "\U0001F600"}) {
    for (const char* before : {"a = 1", "[", "a = \"\"\"\\", "a = true", "a = [1"}) {
      CAPTURE(std::string(before));
      CHECK_FALSE(parse_toml(std::string(before) + character).has_value());
    }
  }
}

TEST_CASE("nesting of any kind and depth is refused, not followed until the stack is exhausted") {
  const auto repeated = [](std::string_view piece) {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += piece;
    return text;
  };
  for (const std::string& toml :
       {"a" + repeated(".a") + " = 1", "[a" + repeated(".a") + "]", "a = " + repeated("["),
        "a = " + repeated("{a="), "a = " + repeated("[{a.a="), repeated("\"a\".") + "a = 1"}) {
    CAPTURE(toml.substr(0, 20));
    CHECK_FALSE(parse_toml(toml).has_value());
  }
  CHECK(parse_toml("[a.b.c]\nd.e = [{ f.g = 1 }]").has_value());
}

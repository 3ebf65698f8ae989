// The pure functions on text that the loader stands on.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proxy/config/byte_size.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/name_hint.h"

using namespace baton::proxy;

TEST_CASE("byte sizes: whole numbers with a unit") {
  CHECK(parse_byte_size("0") == 0);
  CHECK(parse_byte_size("512B") == 512);
  CHECK(parse_byte_size("64KiB") == 65536);
  CHECK(parse_byte_size("1GiB") == 1'073'741'824);
  CHECK(parse_byte_size("8388607TiB") == 8388607ULL << 40);
  for (const char* bad : {"", "5", "KiB", "-1B", "+1B", "1.5KiB", "64kb", "1KiB ", " 1KiB",
                          "8388608TiB", "99999999999999999999B"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(parse_byte_size(bad));
  }
}

TEST_CASE("in quotes: one line of bounded length, whatever the text") {
  CHECK(in_quotes("a b") == "\"a b\"");
  CHECK(in_quotes("a\n\r\t\x01\x7f\"\\") == R"("a\n\r\t\x01\x7F\"\\")");
  CHECK(in_quotes(std::string(64, 'a')) == "\"" + std::string(64, 'a') + "\"");
  CHECK(in_quotes(std::string(65, 'a')) == "\"" + std::string(64, 'a') + "...\"");
  // A letter of two bytes across the cut goes as a whole.
  CHECK(in_quotes(std::string(63, 'a') + "\xc3\xa4") == "\"" + std::string(63, 'a') + "...\"");
  CHECK(one_line("a\nb") == "a\\nb");
}

TEST_CASE("the nearest name is the one fewest slips away, if it is near at all") {
  const std::vector<std::string> known{"name", "address", "idle_timeout", "backlog"};
  struct Row {
    const char* word;
    std::optional<std::string> nearest;
  };
  for (const Row& row :
       {Row{"adress", "address"}, Row{"nmae", "name"}, Row{"Name", "name"},
        Row{"idle_time", "idle_timeout"}, Row{"backlogs", "backlog"}, Row{"zzzz", std::nullopt},
        Row{"", std::nullopt}, Row{"n", std::nullopt}}) {
    CAPTURE(std::string(row.word));
    CHECK(nearest_name(row.word, known) == row.nearest);
  }
  CHECK_FALSE(nearest_name(std::string(1000, 'a'), known));
}

TEST_CASE("a list of names ends with how many it leaves out") {
  CHECK(list_names(std::vector<std::string>{"a", "b"}, NameStyle::Quoted) == R"("a", "b")");
  const std::vector<std::string> many(kMostNamesListed + 4, "x");
  CHECK(list_names(many, NameStyle::Plain).ends_with("x, x and 4 more"));
}

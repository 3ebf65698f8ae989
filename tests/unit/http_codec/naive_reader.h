// Other people's HTTP: readers that are wrong in the ways that request smuggling lives on. Where
// all of them see the same message, nobody can be fooled by it. They share nothing with the codec.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace baton::proxy::http::test {

// How one of them deals with what it should refuse.
struct Habits {
  bool lf_ends_line = false;    // bare LF
  bool cr_ends_line = false;    // bare CR
  bool nul_ends_value = false;  // C strings
  bool joins_folded_lines = false;
  bool underscore_is_dash = false;  // CGI
  bool encoding_first = false;      // Transfer-Encoding wins over Content-Length
  bool last_line_wins = false;      // of several Content-Length or Host
};

// What one of them understood. "chunked", "length N", "none"; empty: it gave up.
struct Understood {
  std::string framing;
  std::string host;
  std::size_t head_bytes = 0;

  bool operator==(const Understood&) const = default;
};

class NaiveReader {
 public:
  explicit NaiveReader(Habits habits) : habits_(habits) {}

  Understood read(std::string_view bytes) const {
    Understood result;
    std::vector<std::string> lines;
    std::size_t at = 0;
    for (;;) {
      const auto [line, next] = line_at(bytes, at);
      if (next == std::string_view::npos) return {};
      at = next;
      if (line.empty()) break;
      const bool is_folded = line[0] == ' ' || line[0] == '\t';
      if (is_folded && habits_.joins_folded_lines && !lines.empty()) {
        lines.back() += line;
      } else {
        lines.emplace_back(line);
      }
    }
    result.head_bytes = at;
    interpret(lines, result);
    return result;
  }

 private:
  std::pair<std::string_view, std::size_t> line_at(std::string_view bytes, std::size_t from) const {
    for (std::size_t i = from; i < bytes.size(); ++i) {
      const bool is_crlf = bytes.substr(i).starts_with("\r\n");
      if (is_crlf) return {bytes.substr(from, i - from), i + 2};
      if ((bytes[i] == '\n' && habits_.lf_ends_line) ||
          (bytes[i] == '\r' && habits_.cr_ends_line)) {
        return {bytes.substr(from, i - from), i + 1};
      }
    }
    return {{}, std::string_view::npos};
  }

  void interpret(const std::vector<std::string>& lines, Understood& result) const {
    std::string length;
    bool is_chunked = false;
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const std::size_t colon = std::min(lines[i].find(':'), lines[i].size());
      std::string name = normalized(lines[i].substr(0, colon));
      if (habits_.underscore_is_dash) std::ranges::replace(name, '_', '-');
      std::string value = normalized(lines[i].substr(std::min(colon + 1, lines[i].size())));
      if (habits_.nul_ends_value) value = value.c_str();
      if (name == "content-length" && (length.empty() || habits_.last_line_wins)) length = value;
      if (name == "host" && (result.host.empty() || habits_.last_line_wins)) result.host = value;
      if (name == "transfer-encoding") is_chunked |= value.find("chunked") != std::string::npos;
    }
    if (is_chunked && (habits_.encoding_first || length.empty())) {
      result.framing = "chunked";
    } else {
      result.framing = length.empty() ? "none" : "length " + length;
    }
  }

  // Whatever is not visible goes from the ends, and everything is lower case.
  static std::string normalized(std::string text) {
    const auto is_visible = [](char c) { return c > ' ' && c < 0x7f; };
    while (!text.empty() && !is_visible(text.back())) text.pop_back();
    while (!text.empty() && !is_visible(text.front())) text.erase(0, 1);
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  }

  Habits habits_;
};

inline const Habits kHabits[] = {
    {},
    {.encoding_first = true},
    {.last_line_wins = true},
    {.lf_ends_line = true, .joins_folded_lines = true},
    {.lf_ends_line = true, .encoding_first = true, .last_line_wins = true},
    {.cr_ends_line = true, .nul_ends_value = true},
    {.underscore_is_dash = true},
    {.lf_ends_line = true,
     .cr_ends_line = true,
     .nul_ends_value = true,
     .joins_folded_lines = true,
     .underscore_is_dash = true,
     .encoding_first = true,
     .last_line_wins = true},
};

}  // namespace baton::proxy::http::test

// A directory that is gone, with all that is in it, when the test ends.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace baton::fixture {

class LogDirectory {
 public:
  LogDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "baton-access-log-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  LogDirectory(const LogDirectory&) = delete;
  LogDirectory& operator=(const LogDirectory&) = delete;
  ~LogDirectory() { std::filesystem::remove_all(path_); }

  std::string file(const std::string& name) const { return path_ / name; }
  std::string content(const std::string& name) const {
    std::ifstream stream(file(name));
    return {std::istreambuf_iterator<char>(stream), {}};
  }

 private:
  std::filesystem::path path_;
};

}  // namespace baton::fixture

// Reads one TOML table, key by key, and collects every mistake with its place: a wrong type, a
// value out of range, a missing key, and, by finish(), each key nobody asked for. Never throws and
// never stops at the first error, so that a user sees all of them at once.
//
// A filter's factory gets one of these and needs to know nothing else about configuration files.
// Ask for every key before giving up on a table: a key that is not asked for is an unknown one.
// Thread: main. Borrows: the parsed document and the error list (both outlive it).
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/os/socket_address.h"

namespace baton::proxy {

// One line: "file:line:column: key: what is wrong and what is allowed".
struct ConfigError {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string key;
  std::string message;
  std::string text() const;
};

class TableReader {
 public:
  struct Impl;  // the TOML library stays inside the .cc files
  explicit TableReader(std::unique_ptr<Impl> impl);
  TableReader(TableReader&&) noexcept;
  ~TableReader();

  bool has(std::string_view key) const;
  // All of them, in the order of the file: for a table in which every key is allowed.
  std::vector<std::string> keys();
  // Absent key, or an error already recorded: nothing.
  std::optional<std::string> string(std::string_view key);
  std::optional<bool> boolean(std::string_view key);
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t least, std::int64_t most);
  std::optional<std::chrono::milliseconds> duration(
      std::string_view key, std::chrono::milliseconds least = std::chrono::milliseconds::zero(),
      std::chrono::milliseconds most = std::chrono::milliseconds::max());
  std::optional<std::uint64_t> size_bytes(std::string_view key);  // "64KiB"
  // Unix paths are absolute and come back in their normal form.
  std::optional<os::SocketAddress> address(std::string_view key);
  std::optional<std::vector<std::string>> strings(std::string_view key);
  std::optional<std::vector<std::int64_t>> integers(std::string_view key, std::int64_t least,
                                                    std::int64_t most);
  // One of a fixed set; the error lists them, and says of `later` ones that this version has them
  // not yet.
  std::optional<std::string> choice(std::string_view key,
                                    std::initializer_list<std::string_view> allowed,
                                    std::initializer_list<std::string_view> later = {});
  // Records an error when absent.
  std::optional<std::string> required_string(std::string_view key);
  // A reference to a cluster by name, checked once all clusters are known.
  std::optional<std::string> cluster(std::string_view key);

  // The table [key].
  std::optional<TableReader> table(std::string_view key);
  // The tables [[key]], each named in errors by its `name_key`. Absent: empty.
  std::optional<std::vector<TableReader>> tables(std::string_view key, std::string_view name_key);
  // An array of tables in which a string "x" is short for {short_for = "x"}. Absent: empty.
  std::optional<std::vector<TableReader>> tables_or_strings(std::string_view key,
                                                            std::string_view short_for);

  // Records an error when the key is absent. `allowed` ends the line: what to write.
  void require(std::string_view key, std::string_view allowed);
  // Records an error when the key is there: the design has it, this version does not.
  void not_available(std::string_view key, std::string_view allowed);
  // Records a mistake at a key (or at the table itself when the key is absent or empty).
  void error(std::string_view key, std::string message);
  // Records a mistake at one element of an array.
  void element_error(std::string_view key, std::size_t index, std::string message);
  // The line of a key's value; the table's own when the key is absent.
  std::uint32_t line(std::string_view key) const;

  // Records every key that none of the calls above asked for.
  void finish();

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton::proxy

// One configuration file while it is being read: the parsed TOML, the mistakes found so far, and
// the references to clusters, which can be checked only once all clusters are known. Thread: main.
// Owns all of it; the TableReaders it hands out borrow from it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/table_reader.h"

namespace baton::proxy {

class ConfigDocument {
 public:
  struct State;

  // A syntax error is recorded like any other mistake; the document is then empty.
  ConfigDocument(std::string_view bytes, std::string file);
  ~ConfigDocument();
  ConfigDocument(const ConfigDocument&) = delete;
  ConfigDocument& operator=(const ConfigDocument&) = delete;

  bool parsed() const;
  TableReader root();
  // Records each reference to a cluster that is not among these.
  void resolve_clusters(std::span<const std::string> defined);

  // Every mistake, by position; empty: the file is good. A hopeless file is cut after
  // kMostErrors, and the last one then says how many more there are.
  std::vector<ConfigError> take_errors();
  static constexpr std::size_t kMostErrors = 100;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace baton::proxy

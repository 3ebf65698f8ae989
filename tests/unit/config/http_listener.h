// Reads the HTTP part of the one listener of a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/config_document.h"
#include "proxy/config/http_section.h"

namespace baton::fixture {

struct ReadHttp {
  // `toml` is what stands below [[listener]]; the clusters "a" and "b" are defined.
  explicit ReadHttp(std::string_view toml) : document("[[listener]]\n" + std::string(toml), "f") {
    proxy::TableReader root = document.root();
    auto listeners = root.tables("listener", "name");
    if (listeners && !listeners->empty()) {
      listener = proxy::read_http(listeners->front());
      listeners->front().finish();
    }
    const std::vector<std::string> clusters{"a", "b"};
    document.resolve_clusters(clusters);
    for (const proxy::ConfigError& error : document.take_errors()) errors += error.text() + "\n";
  }

  proxy::ConfigDocument document;
  proxy::HttpListener listener;
  std::string errors;
};

}  // namespace baton::fixture

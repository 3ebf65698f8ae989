// HTTP filter: answers GET and HEAD of one path by itself, so that a load balancer can ask whether
// this proxy is to be used: 200, and 503 while this generation is draining.
//
// Thread: its worker's. Borrows: the factory's configuration and the drain state.
#pragma once

#include <memory>
#include <string>

#include "proxy/http/filter/http_filter.h"

namespace baton::proxy {
class TableReader;
}

namespace baton::proxy::http {

struct HealthConfig {
  std::string path;
  bool fail_while_draining = true;
};

class Health final : public HttpFilter {
 public:
  explicit Health(bool failing) : failing_(failing) {}

  HttpFilterStatus decode_headers(RequestHead& head, EndOfStream end) override;

 private:
  bool failing_;
};

class HealthFactory final : public HttpFilterFactory {
 public:
  explicit HealthFactory(HealthConfig config) : config_(std::move(config)) {}

  // Reads `path` and `fail_while_draining`.
  static std::shared_ptr<const HttpFilterFactory> parse(TableReader& table);
  MakeHttpFilter bind(const HttpFilterContext& context) const override;

 private:
  HealthConfig config_;
};

}  // namespace baton::proxy::http

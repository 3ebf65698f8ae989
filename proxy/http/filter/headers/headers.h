// HTTP filter: removes, sets and adds header lines of every request and response of a listener.
// What may be edited, and the variables in values, are those of a route
// (proxy/http/route/header_edits.h).
//
// Thread: its worker's. Borrows: the factory's edits.
#pragma once

#include <memory>

#include "proxy/http/filter/http_filter.h"
#include "proxy/http/route/header_edits.h"

namespace baton::proxy {
class TableReader;
}

namespace baton::proxy::http {

struct HeadersConfig {
  HeaderEdits request;
  HeaderEdits response;
};

class Headers final : public HttpFilter {
 public:
  Headers(const HeadersConfig& config, std::uint64_t generation)
      : config_(config), generation_(generation) {}

  HttpFilterStatus decode_headers(RequestHead& head, EndOfStream end) override;
  HttpFilterStatus encode_headers(ResponseHead& head, EndOfStream end) override;

 private:
  EditVariables variables();

  const HeadersConfig& config_;
  std::uint64_t generation_;
};

class HeadersFactory final : public HttpFilterFactory {
 public:
  explicit HeadersFactory(HeadersConfig config) : config_(std::move(config)) {}

  // Reads `request` and `response`.
  static std::shared_ptr<const HttpFilterFactory> parse(TableReader& table);
  MakeHttpFilter bind(const HttpFilterContext& context) const override;

 private:
  HeadersConfig config_;
};

}  // namespace baton::proxy::http

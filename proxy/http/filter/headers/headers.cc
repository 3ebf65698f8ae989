#include "proxy/http/filter/headers/headers.h"

#include "proxy/config/header_edits_section.h"

namespace baton::proxy::http {

EditVariables Headers::variables() {
  return {.client = callbacks().stream_info().client, .generation = generation_};
}

HttpFilterStatus Headers::decode_headers(RequestHead& head, EndOfStream) {
  config_.request.apply(head, variables());
  return HttpFilterStatus::Continue;
}

HttpFilterStatus Headers::encode_headers(ResponseHead& head, EndOfStream) {
  config_.response.apply(head, variables());
  return HttpFilterStatus::Continue;
}

std::shared_ptr<const HttpFilterFactory> HeadersFactory::parse(TableReader& table) {
  HeadersConfig config;
  config.request = read_header_edits(table, "request", EditedHead::Request);
  config.response = read_header_edits(table, "response", EditedHead::Response);
  if (!table.has("request") && !table.has("response")) {
    table.error("", "it does nothing; allowed: request, response or both");
  }
  return std::make_shared<HeadersFactory>(std::move(config));
}

MakeHttpFilter HeadersFactory::bind(const HttpFilterContext& context) const {
  return [this, generation = context.generation](const RequestHead&) {
    return std::make_unique<Headers>(config_, generation);
  };
}

}  // namespace baton::proxy::http

#include "proxy/http/filter/request_id/request_id.h"

#include "proxy/config/table_reader.h"

namespace baton::proxy::http {

HttpFilterStatus RequestId::decode_headers(RequestHead& head, EndOfStream) {
  head.headers.remove_lookalikes({HeaderId::XRequestId});
  const bool keep = config_.trust && !head.headers.repeated(HeaderId::XRequestId) &&
                    RequestIdSource::acceptable(head.headers.get(HeaderId::XRequestId));
  if (!keep) {
    const RequestIdSource::Text id = source_.next();
    head.headers.set(HeaderId::XRequestId, {id.data(), id.size()});
  }
  if (config_.response) id_ = head.headers.get(HeaderId::XRequestId);
  return HttpFilterStatus::Continue;
}

HttpFilterStatus RequestId::encode_headers(ResponseHead& head, EndOfStream) {
  if (!id_.empty()) head.headers.set(HeaderId::XRequestId, id_);
  return HttpFilterStatus::Continue;
}

std::shared_ptr<const HttpFilterFactory> RequestIdFactory::parse(TableReader& table) {
  RequestIdConfig config;
  config.trust = table.boolean("trust").value_or(config.trust);
  config.response = table.boolean("response").value_or(config.response);
  return std::make_shared<RequestIdFactory>(config);
}

MakeHttpFilter RequestIdFactory::bind(const HttpFilterContext&) const {
  return [this, source = std::make_shared<RequestIdSource>()](const RequestHead&) {
    return std::make_unique<RequestId>(config_, *source);
  };
}

}  // namespace baton::proxy::http

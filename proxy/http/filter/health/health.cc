#include "proxy/http/filter/health/health.h"

#include <string_view>
#include <utility>

#include "proxy/config/in_quotes.h"
#include "proxy/config/table_reader.h"
#include "proxy/worker/drain_state.h"

namespace baton::proxy::http {
namespace {

bool asks_for(const RequestHead& head, std::string_view path) {
  if (head.method != Method::Get && head.method != Method::Head) return false;
  return head.path.substr(0, head.path.find('?')) == path;
}

}  // namespace

HttpFilterStatus Health::decode_headers(RequestHead& head, EndOfStream) {
  if (failing_) {
    // The next question is to reach whoever is in charge by then.
    head.persistence = Persistence::Close;
    callbacks().send_local_reply(503, "draining\n", "health_draining");
  } else {
    callbacks().send_local_reply(200, "ok\n", "health");
  }
  return HttpFilterStatus::StopIteration;
}

std::shared_ptr<const HttpFilterFactory> HealthFactory::parse(TableReader& table) {
  const std::string_view allowed = "\"/healthz\" and the like, without a query";
  HealthConfig config;
  table.require("path", allowed);
  if (const auto path = table.string("path")) {
    config.path = *path;
    if (!path->starts_with('/') || path->find_first_of("?# ") != std::string::npos) {
      table.error("path", in_quotes(*path) + " is not a path; allowed: " + std::string(allowed));
    }
  }
  config.fail_while_draining =
      table.boolean("fail_while_draining").value_or(config.fail_while_draining);
  return std::make_shared<HealthFactory>(std::move(config));
}

MakeHttpFilter HealthFactory::bind(const HttpFilterContext& context) const {
  return [this, &drain = context.drain](const RequestHead& head) -> std::unique_ptr<HttpFilter> {
    if (!asks_for(head, config_.path)) return nullptr;
    return std::make_unique<Health>(config_.fail_while_draining && drain.draining());
  };
}

}  // namespace baton::proxy::http

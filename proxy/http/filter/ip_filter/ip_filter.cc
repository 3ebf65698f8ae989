#include "proxy/http/filter/ip_filter/ip_filter.h"

#include "proxy/config/config.h"
#include "proxy/filter/ip_filter/read_ip_rules.h"
#include "proxy/stats/stats_store.h"
#include "shared/region/sample.h"

namespace baton::proxy::http {

HttpFilterStatus IpFilter::decode_headers(RequestHead&, EndOfStream) {
  StreamInfo& info = callbacks().stream_info();
  if (rules_.admits(info.client)) return HttpFilterStatus::Continue;
  info.flags.set(ResponseFlag::Denied);
  refused_.add();
  callbacks().send_local_reply(403, {}, "ip_denied");
  return HttpFilterStatus::StopIteration;
}

std::shared_ptr<const HttpFilterFactory> IpFilterFactory::parse(TableReader& table) {
  return std::make_shared<IpFilterFactory>(read_ip_rules(table));
}

MakeHttpFilter IpFilterFactory::bind(const HttpFilterContext& context) const {
  const region::Counter refused = context.lane.counter(context.stats.resolve({
      .name = "baton_http_ip_filter_refused_total",
      .labels = region::label("listener", context.listener.name),
      .help = "Requests refused for the client's address.",
      .kind = region::MetricKind::Counter,
  }));
  return
      [this, refused](const RequestHead&) { return std::make_unique<IpFilter>(rules_, refused); };
}

}  // namespace baton::proxy::http

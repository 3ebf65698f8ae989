#include "proxy/http/filter/fault/fault.h"

#include <string>

#include "proxy/config/config.h"
#include "proxy/config/table_reader.h"
#include "proxy/stats/stats_store.h"
#include "shared/os/seconds.h"
#include "shared/region/sample.h"

namespace baton::proxy::http {
namespace {

using namespace std::chrono_literals;

std::uint32_t read_percent(TableReader& table, std::string_view key, bool used,
                           std::string_view needs) {
  const auto percent = table.integer(key, 0, 100);
  if (table.has(key) && !used) {
    table.error(key, "is not looked at; allowed: together with " + std::string(needs));
  }
  return used ? static_cast<std::uint32_t>(percent.value_or(100)) : 0;
}

void read_abort(TableReader& table, FaultPlan& plan) {
  const auto status = table.integer("abort_status", 200, 599);
  const bool reset = table.boolean("abort_reset").value_or(false);
  if (status) {
    plan.abort = Abort::Answer;
    plan.status = static_cast<std::uint16_t>(*status);
  }
  if (!reset) return;
  plan.abort = Abort::Reset;
  if (table.has("abort_status")) {
    table.error("abort_reset", "there is an abort_status already; allowed: one of the two");
  }
}

region::Counter counter_of(const HttpFilterContext& context, std::string_view kind) {
  return context.lane.counter(context.stats.resolve({
      .name = "baton_http_faults_total",
      .labels =
          region::label("listener", context.listener.name) + "," + region::label("kind", kind),
      .help = "Requests that were delayed or aborted on purpose.",
      .kind = region::MetricKind::Counter,
  }));
}

}  // namespace

HttpFilterStatus Fault::decode_headers(RequestHead& head, EndOfStream) {
  plan_ = plan_fault(config_, head.headers, shared_.random);
  if (plan_.delay == 0ms) {
    if (plan_.abort == Abort::No) return HttpFilterStatus::Continue;
    abort();
    return HttpFilterStatus::StopIteration;
  }
  callbacks().stream_info().flags.set(ResponseFlag::DelayInjected);
  shared_.delays_total.add();
  timer_ = std::make_unique<ev::timer>(callbacks().loop());
  timer_->set<Fault, &Fault::on_delay_over>(this);
  ev_now_update(callbacks().loop());  // or what the iteration has taken so far would be missing
  timer_->start(os::seconds(plan_.delay));
  return HttpFilterStatus::StopIteration;
}

void Fault::on_delay_over(ev::timer&, int) {
  plan_.abort == Abort::No ? callbacks().continue_decoding() : abort();
}

void Fault::on_stream_end() { timer_.reset(); }

void Fault::abort() {
  callbacks().stream_info().flags.set(ResponseFlag::FaultInjected);
  shared_.aborts_total.add();
  if (plan_.abort == Abort::Reset) return callbacks().reset();
  callbacks().send_local_reply(plan_.status, {}, "fault_abort");
}

std::shared_ptr<const HttpFilterFactory> FaultFactory::parse(TableReader& table) {
  FaultConfig config;
  config.plan.delay = table.duration("delay", 1ms, 1h).value_or(0ms);
  read_abort(table, config.plan);
  const bool aborts = table.has("abort_status") || table.has("abort_reset");
  config.delay_percent = read_percent(table, "delay_percent", table.has("delay"), "delay");
  config.abort_percent =
      read_percent(table, "abort_percent", aborts, "abort_status or abort_reset");
  config.by_request = table.boolean("by_request").value_or(false);
  if (!table.has("delay") && !aborts && !table.has("by_request")) {
    table.error("", "it does nothing; allowed: delay, abort_status, abort_reset or by_request");
  }
  return std::make_shared<FaultFactory>(config);
}

MakeHttpFilter FaultFactory::bind(const HttpFilterContext& context) const {
  auto shared = std::make_shared<Fault::Shared>(Fault::Shared{
      .delays_total = counter_of(context, "delay"), .aborts_total = counter_of(context, "abort")});
  return [this, shared](const RequestHead&) { return std::make_unique<Fault>(config_, *shared); };
}

}  // namespace baton::proxy::http

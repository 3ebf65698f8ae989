#include "proxy/http/access_log/response_flag_names.h"

#include <array>
#include <string_view>

namespace baton::proxy::http {
namespace {

struct FlagName {
  ResponseFlag flag;
  std::string_view name;
};

constexpr std::array<FlagName, 17> kNames{{
    {ResponseFlag::NoRoute, "NR"},
    {ResponseFlag::NoHealthyUpstream, "UH"},
    {ResponseFlag::UpstreamConnectFailure, "UF"},
    {ResponseFlag::UpstreamOverflow, "UO"},
    {ResponseFlag::UpstreamTimeout, "UT"},
    {ResponseFlag::UpstreamReset, "UC"},
    {ResponseFlag::UpstreamProtocolError, "UPE"},
    {ResponseFlag::RetryLimitExceeded, "URX"},
    {ResponseFlag::DownstreamTermination, "DC"},
    {ResponseFlag::DownstreamProtocolError, "DPE"},
    {ResponseFlag::RateLimited, "RL"},
    {ResponseFlag::Denied, "UAEX"},
    {ResponseFlag::FaultInjected, "FI"},
    {ResponseFlag::DelayInjected, "DI"},
    {ResponseFlag::StreamIdleTimeout, "SI"},
    {ResponseFlag::RequestTimeout, "RT"},
    {ResponseFlag::Drained, "DT"},
}};

}  // namespace

void append_flag_names(std::string& out, ResponseFlags flags) {
  const std::size_t begin = out.size();
  for (const FlagName& known : kNames) {
    if (!flags.has(known.flag)) continue;
    if (out.size() != begin) out += ',';
    out += known.name;
  }
}

}  // namespace baton::proxy::http

// The PROXY protocol's header: however many bytes of it have come, there is one reading, and what
// is written names the client that was read.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/filter/proxy_protocol/proxy_header_parser.h"
#include "proxy/filter/proxy_protocol/proxy_header_writer.h"
#include "shared/os/check.h"

using namespace baton;
using proxy::ProxyHeader;
using Status = ProxyHeader::Status;

namespace {

void check_same(const ProxyHeader& a, const ProxyHeader& b) {
  BATON_CHECK(a.status == b.status && a.size == b.size && a.names_client == b.names_client);
  BATON_CHECK(!a.names_client || a.client == b.client);
}

void check_written(const os::SocketAddress& client) {
  if (client.is_unix()) return;
  proxy::Buffer out;
  proxy::write_proxy_v2(out, client, client);
  const ProxyHeader read = proxy::parse_proxy_header(out.view());
  BATON_CHECK(read.status == Status::Complete && read.size == out.size());
  BATON_CHECK(read.names_client && read.client == client);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyHeader whole = proxy::parse_proxy_header(bytes);
  for (std::size_t count = 0; count < size && count < 256; ++count) {
    const ProxyHeader part = proxy::parse_proxy_header(bytes.substr(0, count));
    if (part.status != Status::NeedMore) check_same(part, whole);
  }
  if (whole.status == Status::Complete) BATON_CHECK(whole.size >= 15 && whole.size <= 65551);
  if (whole.names_client) check_written(whole.client);
  return 0;
}

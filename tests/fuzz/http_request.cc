// A request in one piece and in several has the same verdict, and what is accepted is forwarded so
// that it is read in one way: by the parser again, and by readers with other people's habits.
#include <algorithm>
#include <cctype>
#include <string>

#include "proxy/http/codec/request_parser.h"
#include "proxy/http/codec/write_head.h"
#include "tests/fuzz/heads.h"
#include "tests/unit/http_codec/naive_reader.h"

namespace {

using namespace baton::proxy;
using namespace baton::proxy::http;
using baton::fuzz::framing_of;
using baton::fuzz::kHeadLimits;
using baton::fuzz::parse_in_pieces;
using baton::fuzz::require;

Buffer written(const RequestHead& head) {
  Buffer out;
  write_request_head(out, head, ConnectionLine::None);
  return out;
}

void check_forwarded(const RequestHead& head) {
  const Buffer out = written(head);
  std::string host(head.authority);
  for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const test::Understood expected{framing_of(head), host, out.size()};
  for (const test::Habits& habits : test::kHabits) {
    require(test::NaiveReader(habits).read(out.view()) == expected);
  }
  // The request of an HTTP/1.0 client may have been for no host; then somebody must name one first.
  if (head.authority.empty()) return;
  const MessageLimits wider{.start_line_bytes = 2000, .header_bytes = 6000};
  RequestHead again;
  const Verdict verdict = RequestParser(wider).parse(out.view(), again);
  require(verdict.complete() && verdict.consumed == out.size());
  require(framing_of(again) == framing_of(head));
  require(again.method_name == head.method_name && again.authority == head.authority);
  require(again.path == head.path);
  require(written(again).view() == out.view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const baton::fuzz::Input input(data, size);
  // A mistake in an unfinished line may wait for the line's end: so the last line ends.
  const baton::fuzz::ExactCopy bytes(std::string(input.bytes) + "\r\n");
  RequestHead head;
  const Verdict at_once = RequestParser(kHeadLimits).parse(bytes.view(), head);
  RequestHead slow_head;
  const Verdict slow =
      parse_in_pieces<RequestParser>(bytes.view(), 1 + input.choice % 32, slow_head);
  require(slow.progress == at_once.progress && slow.rejection == at_once.rejection);
  if (at_once.rejected()) require(at_once.status >= 400 && at_once.status < 600);
  if (!at_once.complete()) return 0;
  require(head.framing != BodyFraming::UntilClose && head.framing != BodyFraming::Tunnel);
  require(slow.consumed == at_once.consumed && at_once.consumed <= bytes.view().size());
  require(written(slow_head).view() == written(head).view());
  check_forwarded(head);
  return 0;
}

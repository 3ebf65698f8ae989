// As with requests: pieces make no difference, and what is forwarded is read in one way.
#include <string>

#include "proxy/http/codec/response_parser.h"
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

void check_forwarded(const ResponseHead& head, const AnsweredRequest& request) {
  Buffer out;
  write_response_head(out, head, ConnectionLine::None);
  const bool tells_of_another = head.framing == BodyFraming::None;
  for (const test::Habits& habits : test::kHabits) {
    const test::Understood understood = test::NaiveReader(habits).read(out.view());
    require(understood.head_bytes == out.size());
    require(tells_of_another || understood.framing == framing_of(head));
  }
  if (head.framing == BodyFraming::Tunnel) return;
  const MessageLimits wider{.start_line_bytes = 2000, .header_bytes = 6000};
  ResponseHead again;
  const Verdict verdict = ResponseParser(wider).parse(out.view(), request, again);
  require(verdict.complete() && verdict.consumed == out.size());
  require(again.status == head.status && again.reason == head.reason);
  require(again.framing == head.framing && again.content_length == head.content_length);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr Method kMethods[] = {Method::Get, Method::Head, Method::Connect, Method::Get};
  const baton::fuzz::Input input(data, size);
  const AnsweredRequest request{.method = kMethods[input.choice >> 6],
                                .upgrade = (input.choice & 0x20) != 0 ? "websocket" : ""};
  // A mistake in an unfinished line may wait for the line's end: so the last line ends.
  const baton::fuzz::ExactCopy bytes(std::string(input.bytes) + "\r\n");
  ResponseHead head;
  const Verdict at_once = ResponseParser(kHeadLimits).parse(bytes.view(), request, head);
  ResponseHead slow_head;
  const Verdict slow =
      parse_in_pieces<ResponseParser>(bytes.view(), 1 + input.choice % 32, slow_head, request);
  require(slow.progress == at_once.progress && slow.rejection == at_once.rejection);
  if (at_once.rejected()) require(at_once.status == 502);
  if (!at_once.complete()) return 0;
  require(slow.consumed == at_once.consumed && at_once.consumed <= bytes.view().size());
  require(slow_head.framing == head.framing && slow_head.headers.size() == head.headers.size());
  check_forwarded(head, request);
  return 0;
}

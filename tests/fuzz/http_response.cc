// As with requests: pieces make no difference, and what is forwarded is read in one way.
#include <string>

#include "proxy/http/codec/response_parser.h"
#include "proxy/http/codec/write_head.h"
#include "tests/fuzz/pieces.h"
#include "tests/unit/http_codec/naive_reader.h"

namespace {

using namespace baton::proxy;
using namespace baton::proxy::http;
using baton::fuzz::require;

const MessageLimits kLimits{
    .start_line_bytes = 200, .header_bytes = 600, .header_count = 40, .body_bytes = 1U << 30};

std::string framing_of(const ResponseHead& head) {
  if (head.framing == BodyFraming::Chunked) return "chunked";
  if (head.framing == BodyFraming::Length) return "length " + std::to_string(head.content_length);
  return "none";
}

Verdict parse_in_pieces(std::string_view bytes, std::size_t piece, const AnsweredRequest& request,
                        ResponseHead& head) {
  ResponseParser parser(kLimits);
  for (std::size_t size = piece; size < bytes.size(); size += piece) {
    const baton::fuzz::ExactCopy copy(bytes.substr(0, size));
    const Verdict verdict = parser.parse(copy.view(), request, head);
    if (verdict.complete()) head.rebase(copy.view(), bytes.data());
    if (!verdict.need_more()) return verdict;
  }
  return parser.parse(bytes, request, head);
}

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
  const AnsweredRequest request{
      .method = kMethods[input.choice >> 6],
      .upgrade = (input.choice & 0x20) != 0 ? UpgradeAsked::Yes : UpgradeAsked::No};
  // A mistake in an unfinished line may wait for the line's end: so the last line ends.
  const baton::fuzz::ExactCopy bytes(std::string(input.bytes) + "\r\n");
  ResponseHead head;
  const Verdict at_once = ResponseParser(kLimits).parse(bytes.view(), request, head);
  ResponseHead slow_head;
  const Verdict slow = parse_in_pieces(bytes.view(), 1 + input.choice % 32, request, slow_head);
  require(slow.progress == at_once.progress && slow.rejection == at_once.rejection);
  if (at_once.rejected()) require(at_once.status == 502);
  if (!at_once.complete()) return 0;
  require(slow.consumed == at_once.consumed && at_once.consumed <= bytes.view().size());
  require(slow_head.framing == head.framing && slow_head.headers.size() == head.headers.size());
  check_forwarded(head, request);
  return 0;
}

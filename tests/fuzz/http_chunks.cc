// A chunked body in one piece and in several decodes to the same, and so does what is written of
// it.
#include <string>

#include "proxy/http/codec/chunked_decoder.h"
#include "proxy/http/codec/chunked_encoder.h"
#include "tests/fuzz/pieces.h"

namespace {

using namespace baton::proxy;
using namespace baton::proxy::http;
using baton::fuzz::require;
using State = ChunkedDecoder::State;

const MessageLimits kLimits{.header_bytes = 300, .header_count = 10, .body_bytes = 1U << 16};

struct Decoded {
  State state = State::NeedMore;
  std::string body;
  std::size_t consumed = 0;
  const Rejection* rejection = nullptr;
};

Decoded decode(ChunkedDecoder& decoder, std::string_view bytes, std::size_t piece) {
  Decoded result;
  while (result.state == State::NeedMore && !bytes.empty()) {
    const baton::fuzz::ExactCopy copy(bytes.substr(0, piece));
    bytes.remove_prefix(copy.view().size());
    std::string_view rest = copy.view();
    do {
      const ChunkedDecoder::Step step = decoder.decode(rest);
      require(step.consumed <= rest.size());
      require(step.state == State::Data || step.data.empty());
      require(step.state != State::NeedMore || step.consumed == rest.size());
      require((step.state == State::Rejected) == (step.rejection != nullptr));
      rest.remove_prefix(step.consumed);
      result.consumed += step.consumed;
      result.body += step.data;
      result.state = step.state;
      result.rejection = step.rejection;
    } while (result.state == State::Data);
  }
  return result;
}

void check_written_again(const Decoded& decoded, const HeaderMap* trailers, std::size_t piece) {
  Buffer out;
  for (std::size_t at = 0; at < decoded.body.size(); at += piece) {
    write_chunk(out, std::string_view(decoded.body).substr(at, piece));
  }
  write_last_chunk(out, trailers);
  const MessageLimits wider{.header_bytes = 3000};
  ChunkedDecoder decoder(wider);
  const Decoded again = decode(decoder, out.view(), out.size());
  require(again.state == State::Done && again.consumed == out.size());
  require(again.body == decoded.body);
  const std::size_t count = trailers != nullptr ? trailers->size() : 0;
  require((decoder.trailers() != nullptr ? decoder.trailers()->size() : 0) == count);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const baton::fuzz::Input input(data, size);
  const std::size_t piece = 1 + input.choice % 32;
  ChunkedDecoder decoder(kLimits);
  const Decoded at_once = decode(decoder, input.bytes, input.bytes.size());
  ChunkedDecoder slow_decoder(kLimits);
  const Decoded slow = decode(slow_decoder, input.bytes, piece);
  require(slow.state == at_once.state && slow.rejection == at_once.rejection);
  require(slow.body == at_once.body);
  require(at_once.body.size() <= decoder.body_bytes());
  if (at_once.state != State::Done) return 0;
  require(slow.consumed == at_once.consumed);
  require(decoder.body_bytes() == at_once.body.size());
  check_written_again(at_once, decoder.trailers(), piece);
  return 0;
}

#include "proxy/http/router/body_reader.h"

#include <algorithm>

namespace baton::proxy::http {

void BodyReader::begin(BodyFraming framing, std::uint64_t content_length) {
  framing_ = framing;
  left_ = framing == BodyFraming::Length ? content_length : 0;
  complete_ = framing == BodyFraming::None || framing == BodyFraming::Tunnel ||
              (framing == BodyFraming::Length && left_ == 0);
  if (framing == BodyFraming::Chunked) chunks_.reset();
}

BodyReader::Step BodyReader::read(std::string_view input) {
  if (framing_ == BodyFraming::Chunked) {
    const ChunkedDecoder::Step step = chunks_.decode(input);
    complete_ = step.state == ChunkedDecoder::State::Done;
    return {step.consumed, step.data, step.rejection};
  }
  if (framing_ == BodyFraming::UntilClose) return {input.size(), input, nullptr};
  const std::string_view data = input.substr(0, std::min<std::uint64_t>(left_, input.size()));
  left_ -= data.size();
  complete_ = left_ == 0;
  return {data.size(), data, nullptr};
}

bool BodyReader::end_of_stream() {
  if (framing_ == BodyFraming::UntilClose) complete_ = true;
  return complete_;
}

}  // namespace baton::proxy::http

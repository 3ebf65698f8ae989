#include "proxy/http/router/body_reader.h"

#include <algorithm>

#include "proxy/http/codec/connection_options.h"

namespace baton::proxy::http {

void BodyReader::begin(const MessageHead& head) {
  framing_ = head.framing;
  left_ = framing_ == BodyFraming::Length ? head.content_length : 0;
  complete_ = framing_ == BodyFraming::Tunnel || !head.has_body();
  if (framing_ != BodyFraming::Chunked) return;
  chunks_.reset();
  connection_options_.clear();
  if (!head.headers.has(HeaderId::Connection)) return;
  // The head may be gone when the trailers come.
  for (const HeaderField& field : head.headers) {
    if (field.id() == HeaderId::Connection) connection_options_.append(field.value()).append(",");
  }
}

void BodyReader::begin_none() {
  framing_ = BodyFraming::None;
  left_ = 0;
  complete_ = true;
}

HeaderMap* BodyReader::trailers() {
  if (framing_ != BodyFraming::Chunked) return nullptr;
  HeaderMap* const trailers = chunks_.trailers();
  if (trailers != nullptr) remove_nominated(*trailers, connection_options_);
  return trailers;
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

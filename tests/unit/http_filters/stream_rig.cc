#include "tests/unit/http_filters/stream_rig.h"

#include <utility>

#include "proxy/http/codec/status_reason.h"
#include "proxy/http/filter/registry.h"

namespace baton::fixture {

using namespace proxy;
using namespace proxy::http;

namespace {

std::string as_received(std::string_view lines) {
  std::string bytes;
  for (const char c : lines) bytes += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return bytes + "\r\n";
}

std::string lines_of(const HeaderMap& headers, std::string_view name) {
  std::string text;
  for (const HeaderField& field : headers) {
    if (field.id() != find_header_id(name)) continue;
    if (field.id() == HeaderId::Other && field.name() != name) continue;
    if (!text.empty()) text += '|';
    text.append(field.value());
  }
  return text;
}

}  // namespace

MakeHttpFilter FilterRig::bind(const HttpFilterFactory& factory, std::uint32_t position) {
  return factory.bind({.generation = 7,
                       .version = version,
                       .listener = listener,
                       .position = position,
                       .stats = *stats,
                       .lane = *lane,
                       .rate_buckets = runtime->rate_buckets(),
                       .drain = drain});
}

StreamRig::StreamRig(FilterRig& rig, const MakeHttpFilter& make, std::string_view request,
                     std::string_view client)
    : rig_(rig), request_bytes_(as_received(request)) {
  REQUIRE(RequestParser(limits_).parse(request_bytes_, request_).complete());
  info.client = os::SocketAddress::parse(client).value();
  filter_ = make(request_);
  if (!filter_) {
    reached_router_ = true;
    return;
  }
  filter_->set_callbacks(*this);
  const EndOfStream end =
      request_.framing == BodyFraming::None ? EndOfStream::Yes : EndOfStream::No;
  const HttpFilterStatus status = filter_->decode_headers(request_, end);
  stopped_ = status == HttpFilterStatus::StopIteration;
  CHECK((answer == Answer::None || stopped_));
  reached_router_ = !stopped_;
}

StreamRig::~StreamRig() {
  if (filter_) filter_->on_stream_end();
}

void StreamRig::continue_decoding() {
  REQUIRE(std::exchange(stopped_, false));
  reached_router_ = true;
}

void StreamRig::add_encoded_data(Buffer& data) {
  added_.append(data.view());
  data.clear();
}

void StreamRig::send_local_reply(std::uint16_t status, std::string_view text,
                                 std::string_view word) {
  REQUIRE(answer == Answer::None);
  answer = Answer::Local;
  body = text;
  detail = word;
  response_.clear();
  response_.status = status;
  response_.reason = status_reason(status);
  response_.framing = BodyFraming::Length;
  response_.content_length = text.size();
  CHECK(filter_->encode_headers(response_, text.empty() ? EndOfStream::Yes : EndOfStream::No) ==
        HttpFilterStatus::Continue);
}

void StreamRig::reset() {
  REQUIRE(answer == Answer::None);
  answer = Answer::Reset;
}

void StreamRig::respond(std::string_view response, EndOfStream end) {
  response_bytes_ = as_received(response);
  REQUIRE(ResponseParser(limits_)
              .parse(response_bytes_, {.method = request_.method}, response_)
              .complete());
  if (filter_) CHECK(filter_->encode_headers(response_, end) == HttpFilterStatus::Continue);
}

std::string StreamRig::receive(std::string_view data, EndOfStream end) {
  Buffer buffer;
  buffer.append(data);
  if (filter_) CHECK(filter_->encode_data(buffer, end) == HttpFilterStatus::Continue);
  return std::string(buffer.view());
}

std::string StreamRig::pause() {
  Buffer buffer;
  if (filter_) filter_->encode_pause(buffer);
  return std::string(buffer.view());
}

std::string StreamRig::receive_trailers() {
  HeaderMap trailers;
  if (filter_) CHECK(filter_->encode_trailers(trailers) == HttpFilterStatus::Continue);
  return std::exchange(added_, {});
}

std::string StreamRig::request_lines(std::string_view name) const {
  return lines_of(request_.headers, name);
}

std::string StreamRig::response_lines(std::string_view name) const {
  return lines_of(response_.headers, name);
}

ParsedFilter parse_filter(std::string_view type, std::string_view toml) {
  const HttpFilterRegistration* const filter = find_http_filter(type);
  REQUIRE(filter != nullptr);
  ConfigDocument document(toml, "f");
  ParsedFilter parsed;
  {
    TableReader table = document.root();
    parsed.factory = filter->parse(table);
    table.finish();
  }
  for (const ConfigError& error : document.take_errors()) parsed.mistakes += error.text() + "\n";
  return parsed;
}

}  // namespace baton::fixture

#include "proxy/http/filter/compression/compression.h"

#include <utility>

#include "proxy/config/config.h"
#include "proxy/config/in_quotes.h"
#include "proxy/config/table_reader.h"
#include "proxy/http/codec/characters.h"
#include "proxy/http/filter/compression/accept_encoding.h"
#include "proxy/http/filter/compression/list_contains.h"
#include "proxy/stats/stats_store.h"
#include "shared/region/sample.h"

namespace baton::proxy::http {
namespace {

constexpr std::size_t kSpareEncoders = 8;
// What may stay reserved for the next piece.
constexpr std::size_t kRetainedOutputBytes = 64 * 1024;

// Not those that are compressed by themselves.
const std::vector<std::string> kDefaultTypes{"application/atom+xml",
                                             "application/javascript",
                                             "application/json",
                                             "application/ld+json",
                                             "application/problem+json",
                                             "application/rss+xml",
                                             "application/wasm",
                                             "application/xhtml+xml",
                                             "application/xml",
                                             "application/manifest+json",
                                             "image/svg+xml",
                                             "text/*"};

void add_vary(HeaderMap& headers) {
  if (list_contains(headers, HeaderId::Vary, "accept-encoding")) return;
  if (list_contains(headers, HeaderId::Vary, "*")) return;
  headers.add_borrowed("vary", "accept-encoding");
}

void weaken_etag(HeaderMap& headers) {
  const std::string_view etag = headers.get(HeaderId::ETag);
  if (etag.starts_with('"')) headers.set(HeaderId::ETag, "W/" + std::string(etag));
}

// Of a response whose body is, or would be, compressed.
void tell_gzip(ResponseHead& head) {
  head.headers.add_borrowed("content-encoding", "gzip");
  weaken_etag(head.headers);
  head.headers.remove(HeaderId::AcceptRanges);
  head.headers.remove(HeaderId::ContentLength);
  if (head.has_body()) head.framing = BodyFraming::Chunked;
  head.content_length = 0;
}

bool is_media_range(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view subtype = text.substr(slash + 1);
  return is_token(text.substr(0, slash)) && is_token(subtype) && !text.starts_with('*');
}

std::vector<std::string> read_types(TableReader& table) {
  const std::string allowed = "; allowed: \"text/html\", \"text/*\"";
  const auto types = table.strings("content_types");
  if (!types) return kDefaultTypes;
  if (types->empty()) table.error("content_types", "is empty" + allowed);
  for (std::size_t i = 0; i < types->size(); ++i) {
    if (is_media_range((*types)[i])) continue;
    table.element_error("content_types", i,
                        in_quotes((*types)[i]) + " is not a media type" + allowed);
  }
  return *types;
}

region::Counter counter_of(const HttpFilterContext& context, std::string_view name,
                           std::string_view help,
                           region::MetricUnit unit = region::MetricUnit::None) {
  return context.lane.counter(context.stats.resolve({
      .name = "baton_http_compression_" + std::string(name),
      .labels = region::label("listener", context.listener.name),
      .help = std::string(help),
      .kind = region::MetricKind::Counter,
      .unit = unit,
  }));
}

}  // namespace

HttpFilterStatus Compression::decode_headers(RequestHead& head, EndOfStream) {
  if (!accepts_gzip(head.headers)) return HttpFilterStatus::Continue;
  if (list_contains(head.headers, HeaderId::CacheControl, "no-transform")) {
    return HttpFilterStatus::Continue;
  }
  wanted_ = head.method == Method::Head ? Wanted::HeadOfGzip : Wanted::Gzip;
  return HttpFilterStatus::Continue;
}

HttpFilterStatus Compression::encode_headers(ResponseHead& head, EndOfStream end) {
  if (!shared_.config.rules.apply_to(head)) return HttpFilterStatus::Continue;
  add_vary(head.headers);
  if (wanted_ == Wanted::Plain || head.status == 206) return HttpFilterStatus::Continue;
  if (head.status == 304) {
    weaken_etag(head.headers);
    head.headers.remove(HeaderId::ContentLength);
  } else if (wanted_ == Wanted::HeadOfGzip) {
    tell_gzip(head);
  } else if (end == EndOfStream::No && take_encoder()) {
    tell_gzip(head);
    shared_.responses_total.add();
  }
  return HttpFilterStatus::Continue;
}

// False: there is no memory for one.
bool Compression::take_encoder() {
  if (shared_.spare.empty()) {
    encoder_ = GzipEncoder::create(shared_.config.level);
    return encoder_ != nullptr;
  }
  encoder_ = std::move(shared_.spare.back());
  shared_.spare.pop_back();
  encoder_->restart();
  return true;
}

// `data` then holds the compressed form of what it held.
void Compression::compress(Buffer& data, EndOfStream end) {
  encoder_->encode(data.view(), end, shared_.out);
  shared_.input_bytes_total.add(data.size());
  data.clear();
  take_output(data);
}

void Compression::take_output(Buffer& data) {
  Buffer& out = shared_.out;
  shared_.output_bytes_total.add(out.size());
  data.append(out.view());
  out.capacity() > kRetainedOutputBytes ? out.release() : out.clear();
}

HttpFilterStatus Compression::encode_data(Buffer& data, EndOfStream end) {
  if (encoder_) compress(data, end);
  return HttpFilterStatus::Continue;
}

void Compression::encode_pause(Buffer& data) {
  if (!encoder_) return;
  encoder_->flush(shared_.out);
  take_output(data);
}

HttpFilterStatus Compression::encode_trailers(HeaderMap&) {
  if (!encoder_) return HttpFilterStatus::Continue;
  Buffer rest;
  compress(rest, EndOfStream::Yes);
  callbacks().add_encoded_data(rest);
  return HttpFilterStatus::Continue;
}

void Compression::on_stream_end() {
  if (encoder_ && shared_.spare.size() < kSpareEncoders) {
    shared_.spare.push_back(std::move(encoder_));
  }
}

std::shared_ptr<const HttpFilterFactory> CompressionFactory::parse(TableReader& table) {
  CompressionConfig config;
  config.rules.content_types = read_types(table);
  config.rules.min_length = table.size_bytes("min_length").value_or(config.rules.min_length);
  config.level = static_cast<int>(table.integer("level", 1, 9).value_or(config.level));
  return std::make_shared<CompressionFactory>(std::move(config));
}

MakeHttpFilter CompressionFactory::bind(const HttpFilterContext& context) const {
  using enum region::MetricUnit;
  auto shared = std::make_shared<Compression::Shared>(Compression::Shared{
      .config = config_,
      .responses_total = counter_of(context, "responses_total", "Responses that were compressed."),
      .input_bytes_total =
          counter_of(context, "input_bytes_total", "Bytes of bodies before compression.", Bytes),
      .output_bytes_total =
          counter_of(context, "output_bytes_total", "Bytes of bodies after compression.", Bytes)});
  return [shared](const RequestHead& head) -> std::unique_ptr<HttpFilter> {
    if (head.method == Method::Connect) return nullptr;
    return std::make_unique<Compression>(*shared);
  };
}

}  // namespace baton::proxy::http

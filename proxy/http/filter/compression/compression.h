// HTTP filter: sends responses in gzip to clients that accept it.
//
// A compressed response has another body than the one its head told of, so its head changes, too:
// Content-Encoding and Vary are added, a strong ETag becomes weak (the bytes are no longer the
// same), Content-Length and Accept-Ranges go. What may be compressed but is not, for this client,
// still gets Vary. HEAD is answered with the head that GET would be, a 304 has the ETag and the
// Vary of the response that it is about, and no length, since nobody knows it; a 206 its Vary: its
// bytes are those of the plain form.
// Source: RFC 9110 sections 8.4, 8.6, 8.8.3, 12.5.5, 15.4.5, RFC 9111 section 5.2.1.6.
//
// Memory: one encoder a response under way; a few are kept a worker. Bodies are compressed as they
// come, and what there is of them is sent when no more comes for now.
//
// Thread: its worker's. Owns: an encoder, during a response. Borrows: what bind() has made.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/http/filter/compression/compressible.h"
#include "proxy/http/filter/compression/gzip_encoder.h"
#include "proxy/http/filter/http_filter.h"
#include "shared/region/metric.h"

namespace baton::proxy {
class TableReader;
}

namespace baton::proxy::http {

struct CompressionConfig {
  CompressionRules rules;
  int level = 4;
};

class Compression final : public HttpFilter {
 public:
  // What all requests of one listener on one worker share.
  struct Shared {
    const CompressionConfig& config;
    region::Counter responses_total;
    region::Counter input_bytes_total;
    region::Counter output_bytes_total;
    std::vector<std::unique_ptr<GzipEncoder>> spare;
    Buffer out;  // empty between two calls
  };

  explicit Compression(Shared& shared) : shared_(shared) {}

  HttpFilterStatus decode_headers(RequestHead& head, EndOfStream end) override;
  HttpFilterStatus encode_headers(ResponseHead& head, EndOfStream end) override;
  HttpFilterStatus encode_data(Buffer& data, EndOfStream end) override;
  void encode_pause(Buffer& data) override;
  HttpFilterStatus encode_trailers(HeaderMap& trailers) override;
  void on_stream_end() override;

 private:
  enum class Wanted : std::uint8_t { Plain, Gzip, HeadOfGzip };

  bool take_encoder();
  void compress(Buffer& data, EndOfStream end);
  void take_output(Buffer& data);

  Shared& shared_;
  Wanted wanted_ = Wanted::Plain;         // by the client
  std::unique_ptr<GzipEncoder> encoder_;  // while this response is compressed
};

class CompressionFactory final : public HttpFilterFactory {
 public:
  explicit CompressionFactory(CompressionConfig config) : config_(std::move(config)) {}

  // Reads `content_types`, `min_length` and `level`.
  static std::shared_ptr<const HttpFilterFactory> parse(TableReader& table);
  MakeHttpFilter bind(const HttpFilterContext& context) const override;

 private:
  CompressionConfig config_;
};

}  // namespace baton::proxy::http

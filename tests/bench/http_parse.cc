// What one HTTP/1 head costs to read and to write: Baton's codec beside Boost.Beast's parser, which
// would be the alternative. Beast's copies each field into a list; `beast, no fields` shows its
// bare basic_parser, which keeps nothing and judges less. Pin it to one CPU:
//   ninja -C build tests/bench/http_parse && taskset -c 1 build/tests/bench/http_parse
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/http/codec/request_parser.h"
#include "proxy/http/codec/response_parser.h"
#include "proxy/http/codec/write_head.h"

namespace {

using namespace baton::proxy;
namespace codec = baton::proxy::http;
namespace beast = boost::beast;

constexpr unsigned kRounds = 3'000'000;

constexpr std::string_view kWrk = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
constexpr std::string_view kCurl =
    "GET /v1/items?page=2 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: curl/7.88.1\r\n"
    "Accept: */*\r\n\r\n";
constexpr std::string_view kBrowser =
    "GET /assets/app.js?v=12345 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://www.example.com/index.html\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "Sec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\n\r\n";
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
    "Content-Type: text/plain\r\nContent-Length: 6\r\nConnection: keep-alive\r\n"
    "ETag: \"65f0a1b2-6\"\r\nAccept-Ranges: bytes\r\n\r\n";

template <class Work>
void measure(const char* what, std::string_view bytes, Work work) {
  double best = 1e9;
  for (int run = 0; run < 3; ++run) {
    const auto start = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < kRounds; ++i) {
      if (!work()) std::abort();
      asm volatile("" ::: "memory");
    }
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count() / kRounds);
  }
  std::printf("%-34s %4zu bytes %7.1f ns\n", what, bytes.size(), best);
}

// Takes everything and keeps nothing.
template <bool IsRequest>
class Bare : public beast::http::basic_parser<IsRequest> {
  using Code = beast::error_code;
  using Text = beast::string_view;
  void on_request_impl(beast::http::verb, Text, Text, int, Code&) override {}
  void on_response_impl(int, Text, int, Code&) override {}
  void on_field_impl(beast::http::field, Text, Text, Code&) override {}
  void on_header_impl(Code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Code&) override {}
  std::size_t on_body_impl(Text body, Code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, Text, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Code&) override { return body.size(); }
  void on_finish_impl(Code&) override {}
};

template <class Parser>
bool beast_reads(std::string_view bytes) {
  Parser parser;
  beast::error_code error;
  parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  return parser.is_header_done();
}

void measure_request(const char* name, std::string_view bytes) {
  const codec::MessageLimits limits;
  codec::RequestParser parser(limits);
  codec::RequestHead head;
  Buffer out(4096);
  std::printf("%s\n", name);
  measure("  read", bytes, [&] { return parser.parse(bytes, head).complete(); });
  measure("  write", bytes, [&] {
    out.clear();
    write_request_head(out, head, codec::ConnectionLine::None);
    return true;
  });
  measure("  beast", bytes,
          [&] { return beast_reads<beast::http::request_parser<beast::http::empty_body>>(bytes); });
  measure("  beast, no fields", bytes, [&] { return beast_reads<Bare<true>>(bytes); });
}

}  // namespace

int main() {
  measure_request("request of wrk", kWrk);
  measure_request("request of curl", kCurl);
  measure_request("request of a browser", kBrowser);
  const codec::MessageLimits limits;
  codec::ResponseParser parser(limits);
  codec::ResponseHead head;
  Buffer out(4096);
  std::puts("response of nginx");
  measure("  read", kResponse, [&] { return parser.parse(kResponse, {}, head).complete(); });
  measure("  write", kResponse, [&] {
    out.clear();
    write_response_head(out, head, codec::ConnectionLine::None);
    return true;
  });
  measure("  beast", kResponse, [&] {
    return beast_reads<beast::http::response_parser<beast::http::empty_body>>(kResponse);
  });
  measure("  beast, no fields", kResponse, [&] { return beast_reads<Bare<false>>(kResponse); });
}

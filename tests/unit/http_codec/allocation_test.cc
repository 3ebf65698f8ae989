// A request that passes costs no allocation. A program of its own: it counts every operator new.
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

#include "proxy/http/codec/request_parser.h"
#include "proxy/http/codec/response_parser.h"
#include "proxy/http/codec/write_head.h"

namespace {

std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace baton::proxy;
using namespace baton::proxy::http;

constexpr std::string_view kRequest =
    "POST /v1/items?page=2 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: curl/7.88.1\r\n"
    "Accept: */*\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n"
    "Expect: 100-continue\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n";

TEST_CASE("allocations: none to read, edit and write what passes") {
  const MessageLimits limits;
  RequestParser request_parser(limits);
  ResponseParser response_parser(limits);
  Buffer out(4096);
  const std::size_t before = allocations;
  RequestHead request;
  ResponseHead response;
  bool is_complete = true;
  for (int i = 0; i < 10; ++i) {
    out.clear();
    // In two pieces, as it may come.
    is_complete &= request_parser.parse(kRequest.substr(0, 50), request).need_more();
    is_complete &= request_parser.parse(kRequest, request).complete();
    request.headers.remove(HeaderId::Expect);
    request.headers.set(HeaderId::XForwardedFor, "192.0.2.1, 198.51.100.7");
    request.headers.add(HeaderId::XForwardedProto, "https");
    request.headers.add(HeaderId::XRequestId, "0f8fad5b-d9cb-469f-a165-70867728950e");
    request.path = request.headers.keep("/rewritten");
    write_request_head(out, request, ConnectionLine::None);
    is_complete &= response_parser.parse(kResponse, {}, response).complete();
    response.headers.add_borrowed("via", "1.1 baton");
    write_response_head(out, response, ConnectionLine::KeepAlive);
  }
  const std::size_t used = allocations - before;
  CHECK(used == 0);
  CHECK(is_complete);
  CHECK(out.view().starts_with("POST /rewritten HTTP/1.1\r\nHost: api.example.com\r\n"));
}

// Else the test above says nothing.
TEST_CASE("allocations: they are counted") {
  const std::size_t before = allocations;
  const std::string text(1000, 'x');
  CHECK(allocations > before);
  CHECK(text.size() == 1000);
}

}  // namespace

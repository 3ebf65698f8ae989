#include "proxy/http/codec/request_parser.h"

#include <doctest/doctest.h>

#include <string>

namespace {

using namespace baton::proxy::http;

TEST_CASE("request parser: a plain request") {
  const MessageLimits limits;
  RequestParser parser(limits);
  RequestHead head;
  const std::string_view bytes = "GET /a?b HTTP/1.1\r\nHost: x.test\r\nUser-Agent: t\r\n\r\nGET";
  const Verdict verdict = parser.parse(bytes, head);
  REQUIRE(verdict.complete());
  CHECK(verdict.consumed == bytes.size() - 3);
  CHECK(head.path == "/a?b");
}

}  // namespace

// A request as the codec has read it, for tests of what looks at requests.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <string>
#include <string_view>

#include "proxy/http/codec/message_head.h"

namespace baton::fixture {

struct Request {
  explicit Request(std::string_view path, std::string_view host = "example.com",
                   std::string_view method = "GET") {
    head.path = texts.emplace_back(path);
    head.target = head.path;
    head.authority = texts.emplace_back(host);
    head.method_name = texts.emplace_back(method);
    if (!host.empty()) header("Host", host);
  }
  Request& header(std::string_view name, std::string_view value) {
    REQUIRE(head.headers.add(name, value));
    return *this;
  }

  // "name: value" lines of that name, or of all names but Host, joined by "|".
  std::string lines(std::string_view name = {}) const {
    std::string text;
    for (const auto& field : head.headers) {
      if (name.empty() ? field.name() == "Host" : field.name() != name) continue;
      if (!text.empty()) text += '|';
      text.append(field.name()).append(": ").append(field.value());
    }
    return text;
  }

  proxy::http::RequestHead head;
  std::deque<std::string> texts;
};

}  // namespace baton::fixture

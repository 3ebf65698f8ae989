#include "proto/frame.h"

#include <doctest/doctest.h>

using namespace baton::proto;

TEST_CASE("frame: the layout is the documented one, little-endian") {
  const std::string bytes = encode_frame(
      {.kind = 0x0102, .flags = kReply | kError, .id = 0x0a0b0c0d, .fds = 3, .body = "body"});
  const std::string expected(
      "BTN1\x02\x01\x05\x00\x0d\x0c\x0b\x0a\x03\x00\x00\x00"
      "body",
      20);
  CHECK(bytes == expected);
}

TEST_CASE("frame: what was encoded is decoded") {
  const Frame frame{
      .kind = 65535, .flags = kReply | kPartial, .id = 0xffffffff, .fds = 253, .body = "\xff\x01"};
  const auto decoded = decode_frame(encode_frame(frame));
  // The body is a view of what was decoded, gone by now: only the head is looked at here.
  REQUIRE(decoded);
  CHECK(decoded->kind == frame.kind);
  CHECK(decoded->flags == frame.flags);
  CHECK(decoded->id == frame.id);
  CHECK(decoded->fds == frame.fds);
}

TEST_CASE("frame: the body is what follows the head, and may be empty") {
  const std::string with_body = encode_frame({.kind = 1, .body = "abc"});
  CHECK(decode_frame(with_body)->body == "abc");
  const std::string without = encode_frame({.kind = 1});
  CHECK(without.size() == kFrameHeadBytes);
  CHECK(decode_frame(without)->body.empty());
}

TEST_CASE("frame: flags that make sense together, and those that do not") {
  struct Row {
    std::uint16_t flags;
    std::uint32_t id;
    bool accepted;
  };
  constexpr Row kRows[] = {
      {0, 0, true},                            // event
      {0, 1, true},                            // request
      {kReply, 1, true},                       //
      {kReply | kPartial, 1, true},            //
      {kReply | kError, 1, true},              //
      {kReply, 0, false},                      // answers nothing
      {kPartial, 1, false},                    // no reply
      {kError, 1, false},                      // no reply
      {kReply | kPartial | kError, 1, false},  // an error is final
      {8, 1, false},                           // unknown
      {kReply | 0x8000, 1, false},             // unknown
  };
  for (const Row& row : kRows) {
    CAPTURE(row.flags);
    CAPTURE(row.id);
    CHECK(decode_frame(encode_frame({.kind = 1, .flags = row.flags, .id = row.id})).has_value() ==
          row.accepted);
  }
}

TEST_CASE("frame: every prefix of a head, and every wrong magic byte, is refused") {
  const std::string bytes = encode_frame({.kind = 1, .id = 1});
  for (std::size_t length = 0; length < kFrameHeadBytes; ++length) {
    CHECK_FALSE(decode_frame(bytes.substr(0, length)));
  }
  for (std::size_t i = 0; i < 4; ++i) {
    std::string wrong = bytes;
    wrong[i] ^= 0x20;
    CHECK_FALSE(decode_frame(wrong));
  }
}

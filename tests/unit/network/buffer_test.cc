#include "proxy/network/buffer.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using baton::proxy::Buffer;

TEST_CASE("buffer: a new one owns nothing and is empty") {
  const Buffer buffer;
  CHECK(buffer.empty());
  CHECK(buffer.size() == 0);
  CHECK(buffer.capacity() == 0);
  CHECK(buffer.view().empty());
}

TEST_CASE("buffer: bytes come out in the order they went in") {
  Buffer buffer;
  buffer.append("one ");
  buffer.append("two ");
  buffer.consume(4);
  buffer.append("three");
  CHECK(buffer.view() == "two three");
}

TEST_CASE("buffer: what is written into its room counts once it is committed") {
  Buffer buffer(8);
  buffer.writable()[0] = 'x';
  CHECK(buffer.empty());
  buffer.commit(1);
  CHECK(buffer.view() == "x");
  CHECK(buffer.writable().size() == buffer.capacity() - 1);
}

TEST_CASE("buffer: consuming everything gives the whole room back, release() the memory") {
  Buffer buffer(16);
  buffer.append("sixteen bytes ok");
  CHECK(buffer.writable().empty());
  buffer.consume(16);
  CHECK(buffer.writable().size() == 16);
  CHECK(buffer.capacity() == 16);
  buffer.release();
  CHECK(buffer.capacity() == 0);
}

TEST_CASE("buffer: room at the front is used again instead of growing") {
  Buffer buffer(100);
  buffer.append(std::string(100, 'a'));
  buffer.consume(90);
  buffer.append(std::string(60, 'b'));
  CHECK(buffer.capacity() == 100);
  CHECK(buffer.view() == std::string(10, 'a') + std::string(60, 'b'));
}

TEST_CASE("buffer: moving takes the memory along and leaves nothing behind") {
  Buffer from;
  from.append("cargo");
  Buffer to(std::move(from));
  CHECK(to.view() == "cargo");
  Buffer assigned;
  assigned.append("old");
  assigned = std::move(to);
  CHECK(assigned.view() == "cargo");
}

TEST_CASE("buffer: random appends and consumes equal a string's") {
  std::mt19937 random(11);
  Buffer buffer;
  std::string model;
  for (int i = 0; i < 20'000; ++i) {
    if (random() % 2 == 0) {
      const std::string bytes(random() % 300, static_cast<char>('a' + random() % 26));
      buffer.append(bytes);
      model += bytes;
    } else {
      const std::size_t count = model.empty() ? 0 : random() % (model.size() + 1);
      buffer.consume(count);
      model.erase(0, count);
    }
    REQUIRE(buffer.view() == model);
  }
}

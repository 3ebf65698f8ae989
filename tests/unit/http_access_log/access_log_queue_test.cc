#include "proxy/http/access_log/access_log_queue.h"

#include <doctest/doctest.h>

#include <string>

using baton::proxy::http::AccessLogQueue;
using Appended = AccessLogQueue::Appended;

TEST_CASE("access log queue: it keeps whole lines, up to its limit") {
  AccessLogQueue queue(10);
  CHECK(queue.append("one\n") == Appended::Kept);
  CHECK(queue.append("two\n") == Appended::HalfFull);
  CHECK(queue.append("six\n") == Appended::Dropped);
  CHECK(queue.append("6\n") == Appended::Kept);
  CHECK(queue.append("\n") == Appended::Dropped);
  std::string lines;
  queue.take(lines);
  CHECK(lines == "one\ntwo\n6\n");
}

TEST_CASE("access log queue: what was taken makes room") {
  AccessLogQueue queue(4);
  CHECK(queue.append("one\n") == Appended::HalfFull);
  std::string lines;
  queue.take(lines);
  lines.clear();
  CHECK(queue.append("two\n") == Appended::HalfFull);
  queue.take(lines);
  CHECK(lines == "two\n");
}

TEST_CASE("access log queue: a line larger than all of it is dropped") {
  AccessLogQueue queue(4);
  CHECK(queue.append("12345\n") == Appended::Dropped);
}

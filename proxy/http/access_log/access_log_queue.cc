#include "proxy/http/access_log/access_log_queue.h"

#include <utility>

namespace baton::proxy::http {

AccessLogQueue::Appended AccessLogQueue::append(std::string_view line) {
  const std::scoped_lock lock(mutex_);
  const std::size_t before = lines_.size();
  if (line.size() > limit_bytes_ - before) return Appended::Dropped;
  lines_.append(line);
  const std::size_t half = limit_bytes_ / 2;
  return before < half && lines_.size() >= half ? Appended::HalfFull : Appended::Kept;
}

void AccessLogQueue::take(std::string& lines) {
  const std::scoped_lock lock(mutex_);
  lines_.swap(lines);
}

}  // namespace baton::proxy::http

#include "proxy/http/codec/connection_options.h"

#include <algorithm>
#include <array>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

class Options {
 public:
  // One line's value. Empty list elements are allowed (RFC 9110 section 5.6.1.2).
  bool read(std::string_view list) {
    for (;;) {
      const std::size_t comma = list.find(',');
      const std::string_view option = trim_blanks(list.substr(0, comma));
      if (!option.empty() && !read_one(option)) return false;
      if (comma == std::string_view::npos) return true;
      list.remove_prefix(comma + 1);
    }
  }
  void apply_to(MessageHead& head) const {
    for (unsigned i = 0; i < nominated_count_; ++i) head.headers.remove(nominated_[i]);
    if (close_) head.persistence = Persistence::Close;
    // Several Upgrade lines: nobody means that, and the header is not forwarded by itself.
    const bool may_upgrade = upgrade_ && head.version == Version::Http11;
    if (may_upgrade && !head.headers.repeated(HeaderId::Upgrade)) {
      head.upgrade = head.headers.get(HeaderId::Upgrade);
    }
  }
  bool keeps_alive() const { return keep_alive_ && !close_; }

 private:
  bool read_one(std::string_view option) {
    if (!is_token(option) || ++count_ > kMaxConnectionOptions) return false;
    if (equal_ignoring_case(option, "close")) {
      close_ = true;
    } else if (equal_ignoring_case(option, "keep-alive")) {
      keep_alive_ = true;
    } else if (equal_ignoring_case(option, "upgrade")) {
      upgrade_ = true;
    } else if (find_header_id(option) == HeaderId::Other) {
      nominated_[nominated_count_++] = option;
    }
    return true;
  }

  bool close_ = false;
  bool keep_alive_ = false;
  bool upgrade_ = false;
  unsigned count_ = 0;
  unsigned nominated_count_ = 0;
  std::array<std::string_view, kMaxConnectionOptions> nominated_;
};

}  // namespace

bool apply_connection_options(MessageHead& head) {
  const bool persists_by_default = head.version == Version::Http11;
  head.persistence = persists_by_default ? Persistence::KeepAlive : Persistence::Close;
  if (!head.headers.has(HeaderId::Connection)) return true;
  // What nearly all say needs no list of options.
  if (!head.headers.repeated(HeaderId::Connection) &&
      equal_ignoring_case(head.headers.get(HeaderId::Connection), "keep-alive")) {
    head.persistence = Persistence::KeepAlive;
    return true;
  }
  Options options;
  for (const HeaderField& field : head.headers) {
    if (field.id() == HeaderId::Connection && !options.read(field.value())) return false;
  }
  if (options.keeps_alive()) head.persistence = Persistence::KeepAlive;
  options.apply_to(head);
  return true;
}

void remove_nominated(HeaderMap& trailers, std::string_view options) {
  while (!options.empty() && !trailers.empty()) {
    const std::size_t comma = std::min(options.find(','), options.size());
    const std::string_view option = trim_blanks(options.substr(0, comma));
    if (find_header_id(option) == HeaderId::Other) trailers.remove(option);
    options.remove_prefix(std::min(comma + 1, options.size()));
  }
}

}  // namespace baton::proxy::http

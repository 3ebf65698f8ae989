#include "proxy/http/codec/message_head.h"

#include "proxy/http/codec/rebase.h"

namespace baton::proxy::http {

void MessageHead::clear() {
  version = Version::Http11;
  framing = BodyFraming::None;
  persistence = Persistence::KeepAlive;
  content_length = 0;
  upgrade = {};
  headers.clear();
}

void MessageHead::rebase(std::string_view from, const char* to) {
  upgrade = rebased(upgrade, from, to);
  headers.rebase(from, to);
}

void RequestHead::clear() {
  MessageHead::clear();
  method = Method::Other;
  expects_continue = false;
  method_name = target = path = authority = {};
}

void RequestHead::rebase(std::string_view from, const char* to) {
  MessageHead::rebase(from, to);
  method_name = rebased(method_name, from, to);
  target = rebased(target, from, to);
  path = rebased(path, from, to);
  authority = rebased(authority, from, to);
}

void ResponseHead::clear() {
  MessageHead::clear();
  status = 0;
  reason = {};
}

void ResponseHead::rebase(std::string_view from, const char* to) {
  MessageHead::rebase(from, to);
  reason = rebased(reason, from, to);
}

}  // namespace baton::proxy::http

#include "proxy/http/codec/text_store.h"

#include <cstring>

namespace baton::proxy::http {

std::string_view TextStore::keep(std::string_view text) {
  if (text.empty()) return {};
  char* place = inline_.data() + used_;
  if (text.size() <= inline_.size() - used_) {
    used_ += text.size();
  } else {
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(text.size()));
    place = blocks_.back().get();
  }
  std::memcpy(place, text.data(), text.size());
  return {place, text.size()};
}

}  // namespace baton::proxy::http

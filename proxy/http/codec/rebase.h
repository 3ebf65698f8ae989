// Follows bytes that have been copied elsewhere.
// Thread: none; a pure function.
#pragma once

#include <functional>
#include <string_view>

namespace baton::proxy::http {

// `view` as part of the copy of `from` at `to`, an empty one too; views outside `from` are left
// alone.
inline std::string_view rebased(std::string_view view, std::string_view from, const char* to) {
  const std::less<const char*> before;
  const bool is_inside =
      !before(view.data(), from.data()) && before(view.data(), from.data() + from.size());
  return is_inside ? std::string_view(to + (view.data() - from.data()), view.size()) : view;
}

}  // namespace baton::proxy::http

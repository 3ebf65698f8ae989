// Follows bytes that have been copied elsewhere.
// Thread: none; a pure function.
#pragma once

#include <functional>
#include <string_view>

namespace baton::proxy::http {

// `view` as part of the copy of `from` at `to`; views outside `from` are left alone.
inline std::string_view rebased(std::string_view view, std::string_view from, const char* to) {
  const std::less<const char*> before;
  if (view.empty() || before(view.data(), from.data()) ||
      !before(view.data(), from.data() + from.size())) {
    return view.empty() ? std::string_view() : view;
  }
  return {to + (view.data() - from.data()), view.size()};
}

}  // namespace baton::proxy::http

// Header lines that a route removes, sets and adds, in that order. Values may name variables:
// %CLIENT_ADDRESS% (the real one, without a port) and %GENERATION%.
//
// What a request is to have or not is for its upstream, and many of those take '_' for '-': from a
// request the lookalikes of what is removed or set go, too.
// Thread: any; immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/codec/message_head.h"
#include "shared/os/socket_address.h"

namespace baton::proxy::http {

// What the variables of one request stand for. Borrows.
struct EditVariables {
  const os::SocketAddress& client;
  std::uint64_t generation = 0;
};

struct HeaderEdit {
  std::string name;
  std::string value;
  bool has_variables = false;  // of names_variables(value)
};

struct HeaderEdits {
  std::vector<std::string> remove;
  std::vector<HeaderEdit> set;
  std::vector<HeaderEdit> add;

  bool empty() const { return remove.empty() && set.empty() && add.empty(); }
  // `head` then borrows texts from here: the edits outlive it.
  void apply(RequestHead& head, const EditVariables& variables) const;
  void apply(ResponseHead& head, const EditVariables& variables) const;

 private:
  void apply_to(HeaderMap& headers, const EditVariables& variables) const;
};

// Whether the value has a variable in it.
bool names_variables(std::string_view value);

}  // namespace baton::proxy::http

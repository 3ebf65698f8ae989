// Header lines that a route removes, sets and adds, in that order. Values may name variables:
// %CLIENT_ADDRESS% (the real one, without a port) and %GENERATION%.
// Thread: any; immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/codec/header_map.h"
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
  // `headers` then borrows texts from here: the edits outlive it.
  void apply(HeaderMap& headers, const EditVariables& variables) const;
};

// Whether the value has a variable in it.
bool names_variables(std::string_view value);

}  // namespace baton::proxy::http

// Terminal filter: answers every connection with one text and ends it. Whatever the client sends is
// read and thrown away until it closes (bounded in time), because closing a socket with unread
// input resets it, and a reset destroys the answer on its way.
//
// Thread: its worker's. Borrows: the text, rendered once for each worker, and callbacks.
#pragma once

#include <string>
#include <string_view>

#include "proxy/filter/network_filter.h"

namespace baton::proxy {

class DirectResponse final : public NetworkFilter {
 public:
  DirectResponse(NetworkFilterCallbacks& callbacks, std::string_view body)
      : callbacks_(callbacks), body_(body) {}

  FilterStatus on_new_connection() override;

 private:
  NetworkFilterCallbacks& callbacks_;
  std::string_view body_;
};

class DirectResponseFactory final : public NetworkFilterFactory {
 public:
  // %GENERATION% and %VERSION% in `body` stand for those of the process.
  explicit DirectResponseFactory(std::string body) : body_(std::move(body)) {}
  MakeNetworkFilter bind(const FilterContext& context) const override;

 private:
  std::string body_;
};

}  // namespace baton::proxy

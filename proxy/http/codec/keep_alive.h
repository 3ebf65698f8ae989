// The Keep-Alive header of a response: how long its sender keeps the connection without a request.
// Thread: none; a pure function.
// Source: RFC 2068 section 19.7.1; what servers send: "timeout=5, max=100".
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace baton::proxy::http {

// Absent: it does not say, or not in a way that is understood.
std::optional<std::chrono::seconds> keep_alive_time(std::string_view value);

}  // namespace baton::proxy::http

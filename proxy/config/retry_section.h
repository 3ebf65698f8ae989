// Reads `retry` of a [[listener.route]].
// Thread: main.
#pragma once

#include <optional>

#include "proxy/config/table_reader.h"
#include "proxy/http/route/retry_policy.h"

namespace baton::proxy {

// Nothing: there is none.
std::optional<http::RetryPolicy> read_retry(TableReader& route);

}  // namespace baton::proxy

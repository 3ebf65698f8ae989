// Reads [listener.access_log].
// Thread: main.
#pragma once

#include <optional>

#include "proxy/config/table_reader.h"
#include "proxy/http/access_log/access_log_config.h"

namespace baton::proxy {

// Nothing: there is none, or it says "none".
std::optional<http::AccessLogConfig> read_access_log(TableReader& listener);

}  // namespace baton::proxy

// Reads how a [[listener.route]] sends requests to its cluster or clusters.
// Thread: main.
#pragma once

#include <string_view>

#include "proxy/config/table_reader.h"
#include "proxy/http/route/route.h"

namespace baton::proxy {

http::ForwardAction read_forward(TableReader& section);
// Records each key that means something only for a request that is forwarded.
void refuse_forward_options(TableReader& section, std::string_view action);

}  // namespace baton::proxy

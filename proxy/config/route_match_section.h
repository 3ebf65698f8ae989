// Reads which requests a [[listener.route]] is for.
// Thread: main.
#pragma once

#include "proxy/config/table_reader.h"
#include "proxy/http/route/route_match.h"

namespace baton::proxy {

http::RouteMatch read_route_match(TableReader& section);

}  // namespace baton::proxy

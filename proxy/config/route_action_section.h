// Reads what becomes of the requests of a [[listener.route]].
// Thread: main.
#pragma once

#include <variant>

#include "proxy/config/table_reader.h"
#include "proxy/http/route/route.h"

namespace baton::proxy {

using RouteAction = decltype(http::Route::action);
RouteAction read_route_action(TableReader& section);

}  // namespace baton::proxy

// Reads one [[listener.route]].
// Thread: main.
#pragma once

#include "proxy/config/table_reader.h"
#include "proxy/config/unique_names.h"
#include "proxy/http/route/route.h"

namespace baton::proxy {

// Complete only when no mistake has been recorded. `names` are those of the listener's routes.
http::Route read_route(TableReader& section, UniqueNames& names);

}  // namespace baton::proxy

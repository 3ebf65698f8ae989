// Reads what a route does to header lines: request_headers and response_headers.
// Thread: main.
#pragma once

#include <string_view>

#include "proxy/config/table_reader.h"
#include "proxy/http/route/header_edits.h"

namespace baton::proxy {

enum class EditedHead { Request, Response };
http::HeaderEdits read_header_edits(TableReader& section, std::string_view key, EditedHead head);

}  // namespace baton::proxy

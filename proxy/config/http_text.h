// Texts of a configuration that become part of HTTP messages: what is wrong with them is told when
// the file is read, not when the first request comes.
// Thread: any; pure functions.
#pragma once

#include <string_view>

#include "proxy/config/table_reader.h"
#include "proxy/http/route/regex.h"

namespace baton::proxy {

// A path from its '/' on, without a query unless that is allowed.
enum class Query { Refused, Allowed };
bool is_path(std::string_view text, Query query);

// Reads `key`: nothing when it is absent or not a path; recorded.
std::optional<std::string> read_path(TableReader& section, std::string_view key,
                                     Query query = Query::Refused);
// Reads `key`: nothing when it is absent or not host[:port]; recorded.
std::optional<std::string> read_authority(TableReader& section, std::string_view key);
// Reads `key`: nothing when it is absent or not a header's name; recorded.
std::optional<std::string> read_header_name(TableReader& section, std::string_view key);
// Reads `key`: nothing when it is absent or not a header's value; recorded.
std::optional<std::string> read_header_value(TableReader& section, std::string_view key);
// Reads `key`: nothing when it is absent or not a regular expression; recorded.
std::optional<http::Regex> read_regex(TableReader& section, std::string_view key);

}  // namespace baton::proxy

// The names of response flags, as in Envoy's access log.
// Thread: any; constants.
#pragma once

#include <string>

#include "proxy/http/stream_info.h"

namespace baton::proxy::http {

// "UF,URX"; nothing when there is none.
void append_flag_names(std::string& out, ResponseFlags flags);

}  // namespace baton::proxy::http

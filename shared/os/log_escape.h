// Texts of others in a log line: whatever they hold, the line stays one and can be taken apart.
// Thread: any; pure functions.
#pragma once

#include <string>
#include <string_view>

namespace baton::log {

// Visible ASCII and spaces as they are, but '"' and '\' and everything else as \xHH.
void append_text_escaped(std::string& out, std::string_view text);

// The inside of a JSON string (RFC 8259 section 7): valid UTF-8 whatever `text` is; bytes that are
// not become U+FFFD.
void append_json_escaped(std::string& out, std::string_view text);

}  // namespace baton::log

#include "proxy/http/access_log/access_log_format.h"

#include <algorithm>

#include "proxy/http/access_log/logged_request.h"
#include "shared/os/log_escape.h"

namespace baton::proxy::http {
namespace {

constexpr std::string_view kMissing = "-";

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Text of the configuration that stands inside a JSON string.
void escape(std::vector<LogPiece>& pieces) {
  for (LogPiece& piece : pieces) {
    if (piece.what != LogOperator::Text) continue;
    std::string escaped;
    log::append_json_escaped(escaped, piece.text);
    piece.text = std::move(escaped);
  }
}

void append_text(std::vector<LogPiece>& pieces, std::string text) {
  pieces.push_back({.what = LogOperator::Text, .text = std::move(text)});
}

// `,"name":"` and the like.
std::string member_begin(bool first, std::string_view name, std::string_view behind) {
  std::string text = first ? "{\"" : ",\"";
  log::append_json_escaped(text, name);
  return text.append("\":").append(behind);
}

}  // namespace

std::expected<AccessLogFormat, std::string> AccessLogFormat::text(std::string_view format) {
  if (format.ends_with('\n')) format.remove_suffix(1);
  if (std::ranges::any_of(format, [](char c) { return is_control(c) && c != '\t'; })) {
    return std::unexpected("has a control character; allowed: one line of text");
  }
  auto pieces = parse_log_text(format);
  if (!pieces) return std::unexpected(std::move(pieces.error()));
  AccessLogFormat made;
  made.pieces_ = *std::move(pieces);
  append_text(made.pieces_, "\n");
  return made;
}

std::expected<AccessLogFormat, std::string> AccessLogFormat::json(
    const std::vector<Field>& fields) {
  AccessLogFormat made;
  made.style_ = Style::Json;
  for (const auto& [name, text] : fields) {
    auto pieces = parse_log_text(text);
    if (!pieces) return std::unexpected(std::move(pieces.error()));
    const bool first = made.pieces_.empty();
    const bool alone = pieces->size() == 1 && pieces->front().what != LogOperator::Text;
    if (alone) {
      append_text(made.pieces_, member_begin(first, name, ""));
      pieces->front().alone = true;
    } else {
      append_text(made.pieces_, member_begin(first, name, "\""));
      escape(*pieces);
    }
    std::ranges::move(*pieces, std::back_inserter(made.pieces_));
    if (!alone) append_text(made.pieces_, "\"");
  }
  append_text(made.pieces_, fields.empty() ? "{}\n" : "}\n");
  return made;
}

AccessLogFormat AccessLogFormat::bound(std::string_view listener, std::uint64_t generation) const {
  AccessLogFormat made = *this;
  for (LogPiece& piece : made.pieces_) {
    if (piece.what == LogOperator::Generation) {
      piece = {.what = LogOperator::Text, .text = std::to_string(generation)};
    } else if (piece.what == LogOperator::Listener) {
      const std::string_view quote = piece.alone ? "\"" : "";
      std::string text(quote);  // names are letters, digits, '_', '.' and '-'
      piece = {.what = LogOperator::Text, .text = text.append(listener).append(quote)};
    }
  }
  return made;
}

void AccessLogFormat::render(std::string& out, const StreamInfo& stream, const RequestHead& request,
                             const ResponseHead* response) const {
  LoggedRequest logged(stream, request, response);
  for (const LogPiece& piece : pieces_) {
    if (piece.what == LogOperator::Text) {
      out += piece.text;
      continue;
    }
    std::string_view value = logged.value(piece);
    if (piece.most_bytes != 0) value = value.substr(0, piece.most_bytes);
    if (style_ == Style::Text) {
      log::append_text_escaped(out, value.empty() ? kMissing : value);
    } else if (!piece.alone) {
      log::append_json_escaped(out, value.empty() ? kMissing : value);
    } else if (value.empty()) {
      out += "null";
    } else if (piece.numeric()) {
      out += value;
    } else {
      out += '"';
      log::append_json_escaped(out, value);
      out += '"';
    }
  }
}

bool AccessLogFormat::reads_headers() const {
  return std::ranges::any_of(pieces_, [](const LogPiece& piece) {
    return piece.what == LogOperator::RequestHeader || piece.what == LogOperator::ResponseHeader ||
           piece.what == LogOperator::RequestId || piece.what == LogOperator::Authority;
  });
}

}  // namespace baton::proxy::http

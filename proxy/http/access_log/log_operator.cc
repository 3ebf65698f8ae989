#include "proxy/http/access_log/log_operator.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {
namespace {

enum class Argument : std::uint8_t { None, HeaderName };

struct Known {
  std::string_view name;
  LogOperator what;
  Argument argument = Argument::None;
};

constexpr std::array<Known, 23> kKnown{{
    {"AUTHORITY", LogOperator::Authority},
    {"BYTES_RECEIVED", LogOperator::BytesReceived},
    {"BYTES_SENT", LogOperator::BytesSent},
    {"DOWNSTREAM_REMOTE_ADDRESS", LogOperator::ClientAddress},
    {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", LogOperator::ClientAddressWithoutPort},
    {"DURATION", LogOperator::Duration},
    {"GENERATION", LogOperator::Generation},
    {"LISTENER", LogOperator::Listener},
    {"METHOD", LogOperator::Method},
    {"PATH", LogOperator::Path},
    {"PROTOCOL", LogOperator::Protocol},
    {"REQ", LogOperator::RequestHeader, Argument::HeaderName},
    {"REQUEST_ID", LogOperator::RequestId},
    {"RESP", LogOperator::ResponseHeader, Argument::HeaderName},
    {"RESPONSE_CODE", LogOperator::ResponseCode},
    {"RESPONSE_CODE_DETAILS", LogOperator::ResponseCodeDetails},
    {"RESPONSE_FLAGS", LogOperator::ResponseFlags},
    {"ROUTE_NAME", LogOperator::RouteName},
    {"START_TIME", LogOperator::StartTime},
    {"UPSTREAM_CLUSTER", LogOperator::UpstreamCluster},
    {"UPSTREAM_HOST", LogOperator::UpstreamHost},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", LogOperator::UpstreamAttempts},
    {"UPSTREAM_SERVICE_TIME", LogOperator::UpstreamServiceTime},
}};

using Parsed = std::expected<LogPiece, std::string>;

std::unexpected<std::string> unknown_operator() {
  std::string names;
  for (const Known& known : kKnown) {
    names += names.empty() ? "%" : ", %";
    names += known.name;
    names += known.argument == Argument::HeaderName ? "(NAME)%" : "%";
  }
  return std::unexpected("has an unknown operator; allowed: " + names + ", %% for a percent sign");
}

// ":20" behind an operator.
bool parse_length(std::string_view text, std::uint32_t& most_bytes) {
  if (!text.starts_with(':')) return text.empty();
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), most_bytes);
  return error == std::errc() && end == text.data() + text.size() && most_bytes != 0;
}

// A header, or one of the parts of a request line that Envoy gives names like headers.
bool is_name(std::string_view text, LogOperator what) {
  if (!text.starts_with(':')) return is_token(text);
  return what == LogOperator::RequestHeader &&
         (text == ":METHOD" || text == ":PATH" || text == ":AUTHORITY");
}

// "A" or "A?B".
bool parse_names(std::string_view text, LogPiece& piece) {
  const std::size_t mark = text.find('?');
  piece.text = text.substr(0, mark);
  if (mark != text.npos) piece.alternative = text.substr(mark + 1);
  return is_name(piece.text, piece.what) &&
         (mark == text.npos || is_name(piece.alternative, piece.what));
}

// What stands between two percent signs.
Parsed parse_operator(std::string_view text) {
  const std::string_view name = text.substr(0, text.find_first_of("(:"));
  const auto known = std::ranges::find(kKnown, name, &Known::name);
  if (known == kKnown.end()) return unknown_operator();
  LogPiece piece{.what = known->what};
  std::string_view rest = text.substr(name.size());
  if (known->argument == Argument::HeaderName) {
    const std::size_t close = rest.find(')');
    if (!rest.starts_with('(') || close == rest.npos ||
        !parse_names(rest.substr(1, close - 1), piece)) {
      return std::unexpected("has a %" + std::string(name) +
                             "% without a header's name; allowed: %" + std::string(name) +
                             "(NAME)%, %" + std::string(name) + "(NAME?OTHER)%");
    }
    rest.remove_prefix(close + 1);
  }
  if (!parse_length(rest, piece.most_bytes)) {
    return std::unexpected("has something behind the name of %" + std::string(name) +
                           "%; allowed: a length, %" + std::string(name) + ":20%");
  }
  return piece;
}

void add_text(std::vector<LogPiece>& pieces, std::string_view text) {
  if (text.empty()) return;
  if (pieces.empty() || pieces.back().what != LogOperator::Text) {
    pieces.push_back({.what = LogOperator::Text});
  }
  pieces.back().text += text;
}

}  // namespace

bool LogPiece::numeric() const {
  switch (what) {
    case LogOperator::ResponseCode:
    case LogOperator::BytesReceived:
    case LogOperator::BytesSent:
    case LogOperator::Duration:
    case LogOperator::UpstreamServiceTime:
    case LogOperator::UpstreamAttempts:
    case LogOperator::Generation:
      return true;
    case LogOperator::Text:
    case LogOperator::StartTime:
    case LogOperator::Method:
    case LogOperator::Path:
    case LogOperator::Protocol:
    case LogOperator::Authority:
    case LogOperator::RequestHeader:
    case LogOperator::ResponseHeader:
    case LogOperator::ResponseFlags:
    case LogOperator::ResponseCodeDetails:
    case LogOperator::UpstreamHost:
    case LogOperator::UpstreamCluster:
    case LogOperator::RouteName:
    case LogOperator::ClientAddress:
    case LogOperator::ClientAddressWithoutPort:
    case LogOperator::RequestId:
    case LogOperator::Listener:
      return false;
  }
  return false;
}

std::expected<std::vector<LogPiece>, std::string> parse_log_text(std::string_view text) {
  std::vector<LogPiece> pieces;
  while (!text.empty()) {
    const std::size_t percent = std::min(text.find('%'), text.size());
    add_text(pieces, text.substr(0, percent));
    text.remove_prefix(percent);
    if (text.empty()) break;
    if (text.starts_with("%%")) {
      add_text(pieces, "%");
      text.remove_prefix(2);
      continue;
    }
    const std::size_t close = text.find('%', 1);
    if (close == text.npos) {
      return std::unexpected(
          "has a single percent sign; allowed: %OPERATOR%, %% for a percent sign");
    }
    Parsed piece = parse_operator(text.substr(1, close - 1));
    if (!piece) return std::unexpected(std::move(piece.error()));
    pieces.push_back(*std::move(piece));
    text.remove_prefix(close + 1);
  }
  return pieces;
}

}  // namespace baton::proxy::http

// Why a message is refused: what to answer, and a word for the access log.
// Thread: none; constants with static storage, compared by address.
#pragma once

#include <cstdint>
#include <string_view>

namespace baton::proxy::http {

struct Rejection {
  std::uint16_t status;     // the answer when it is a request; a bad response becomes a 502
  std::string_view reason;  // for people: the body of the answer
  std::string_view flag;    // for the access log: one word, stable
};

// What an upstream's malformed response is answered with, whatever is wrong with it.
inline constexpr std::uint16_t kBadGateway = 502;

// Lines and characters: RFC 9112 sections 2.2, 3, 5.
inline constexpr Rejection kBareCr{400, "CR without LF", "bare_cr"};
inline constexpr Rejection kBareLf{400, "LF without CR", "bare_lf"};
inline constexpr Rejection kControlCharacter{400, "control character in the head", "control_char"};
inline constexpr Rejection kBadMethod{400, "malformed method", "bad_method"};
inline constexpr Rejection kBadStartLine{400, "malformed first line", "bad_start_line"};
inline constexpr Rejection kBadVersion{400, "malformed HTTP version", "bad_version"};
inline constexpr Rejection kUnsupportedVersion{505, "unsupported HTTP version", "http_version"};
inline constexpr Rejection kBadStatus{400, "malformed status code", "bad_status"};
inline constexpr Rejection kFoldedLine{400, "header line begins with whitespace", "obs_fold"};
inline constexpr Rejection kSpaceBeforeColon{400, "whitespace before the colon",
                                             "space_before_colon"};
inline constexpr Rejection kBadHeaderName{400, "malformed header name", "bad_header_name"};

// Where the request goes: RFC 9112 section 3.2, RFC 9110 sections 4.2 and 7.2.
inline constexpr Rejection kBadTarget{400, "malformed request target", "bad_target"};
inline constexpr Rejection kMissingHost{400, "no Host header", "missing_host"};
inline constexpr Rejection kRepeatedHost{400, "more than one Host header", "repeated_host"};
inline constexpr Rejection kBadHost{400, "malformed Host header", "bad_host"};
inline constexpr Rejection kHostMismatch{400, "Host differs from the target", "host_mismatch"};

// Where the message ends: RFC 9112 sections 6 and 7.
inline constexpr Rejection kBadContentLength{400, "malformed Content-Length", "bad_content_length"};
inline constexpr Rejection kRepeatedContentLength{400, "more than one Content-Length",
                                                  "repeated_content_length"};
inline constexpr Rejection kBadTransferEncoding{400, "malformed Transfer-Encoding",
                                                "bad_transfer_encoding"};
inline constexpr Rejection kUnknownTransferCoding{501, "unknown transfer coding",
                                                  "unknown_transfer_coding"};
inline constexpr Rejection kLengthAndEncoding{400, "both Content-Length and Transfer-Encoding",
                                              "length_and_encoding"};
inline constexpr Rejection kEncodingInOldVersion{400, "Transfer-Encoding in HTTP/1.0",
                                                 "encoding_in_http10"};
inline constexpr Rejection kUnexpectedBody{400, "a body where none may be", "unexpected_body"};
inline constexpr Rejection kBadConnection{400, "malformed Connection header", "bad_connection"};
inline constexpr Rejection kUnexpectedUpgrade{400, "an upgrade nobody asked for",
                                              "unexpected_upgrade"};
inline constexpr Rejection kUnknownExpectation{417, "unknown expectation", "unknown_expectation"};
inline constexpr Rejection kBadChunkSize{400, "malformed chunk size", "bad_chunk_size"};
inline constexpr Rejection kBadChunkExtension{400, "malformed chunk extension",
                                              "bad_chunk_extension"};
inline constexpr Rejection kBadChunkEnd{400, "chunk data is not followed by CRLF", "bad_chunk_end"};
inline constexpr Rejection kForbiddenTrailer{400, "this field may not be a trailer",
                                             "forbidden_trailer"};

// MessageLimits.
inline constexpr Rejection kStartLineTooLong{414, "first line too long", "start_line_too_long"};
inline constexpr Rejection kHeadersTooLarge{431, "headers too large", "headers_too_large"};
inline constexpr Rejection kTooManyHeaders{431, "too many headers", "too_many_headers"};
inline constexpr Rejection kBodyTooLarge{413, "body too large", "body_too_large"};

}  // namespace baton::proxy::http

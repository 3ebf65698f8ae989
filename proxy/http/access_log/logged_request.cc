#include "proxy/http/access_log/logged_request.h"

#include <charconv>
#include <ctime>

#include "proxy/http/access_log/response_flag_names.h"
#include "proxy/upstream/endpoint.h"

namespace baton::proxy::http {
namespace {

std::uint64_t in_milliseconds(std::chrono::microseconds time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

// "2026-01-31T12:34:56." in UTC; most requests share their second with the one before.
std::string_view second_text(std::time_t second) {
  thread_local std::time_t last = -1;
  thread_local std::array<char, 32> text;
  thread_local std::size_t size = 0;
  if (second != last) {
    std::tm parts{};
    ::gmtime_r(&second, &parts);
    size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &parts);
    last = second;
  }
  return {text.data(), size};
}

}  // namespace

std::string_view LoggedRequest::value(const LogPiece& piece) {
  switch (piece.what) {
    case LogOperator::Text:
      return piece.text;
    case LogOperator::StartTime:
      return start_time();
    case LogOperator::Method:
    case LogOperator::Path:
    case LogOperator::Protocol:
    case LogOperator::Authority:
      return request_line(piece);
    case LogOperator::RequestHeader: {
      const std::string_view first = request_header(piece.text);
      return first.empty() && !piece.alternative.empty() ? request_header(piece.alternative)
                                                         : first;
    }
    case LogOperator::ResponseHeader: {
      if (response_ == nullptr) return {};
      const std::string_view first = response_->headers.get(piece.text);
      return first.empty() && !piece.alternative.empty() ? response_->headers.get(piece.alternative)
                                                         : first;
    }
    case LogOperator::RequestId:
      return request_.headers.get(HeaderId::XRequestId);
    case LogOperator::ResponseCode:
      return number(stream_.status);
    case LogOperator::ResponseFlags:
      text_.clear();
      append_flag_names(text_, stream_.flags);
      return text_;
    case LogOperator::ResponseCodeDetails:
      return stream_.flag_detail;
    case LogOperator::BytesReceived:
      return number(stream_.received_bytes);
    case LogOperator::BytesSent:
      return number(stream_.sent_bytes);
    case LogOperator::Duration:
      return number(in_milliseconds(stream_.duration));
    case LogOperator::UpstreamServiceTime:
    case LogOperator::UpstreamHost:
    case LogOperator::UpstreamCluster:
    case LogOperator::UpstreamAttempts:
      return upstream(piece);
    case LogOperator::RouteName:
      return stream_.route;
    case LogOperator::ClientAddress:
    case LogOperator::ClientAddressWithoutPort:
      return client(piece);
    case LogOperator::Generation:  // made text by bound()
    case LogOperator::Listener:
      return {};
  }
  return {};
}

std::string_view LoggedRequest::request_line(const LogPiece& piece) const {
  if (request_.method_name.empty()) return {};  // it could not be read
  switch (piece.what) {
    case LogOperator::Method:
      return request_.method_name;
    case LogOperator::Path:
      return request_.target;
    case LogOperator::Protocol:
      return request_.version == Version::Http10 ? "HTTP/1.0" : "HTTP/1.1";
    default: {
      // The one that was asked for: the head's may have been rewritten.
      const std::string_view host = request_.headers.get(HeaderId::Host);
      return host.empty() ? request_.authority : host;
    }
  }
}

std::string_view LoggedRequest::upstream(const LogPiece& piece) {
  switch (piece.what) {
    case LogOperator::UpstreamCluster:
      return stream_.cluster;
    case LogOperator::UpstreamAttempts:
      return number(stream_.attempts);
    case LogOperator::UpstreamHost:
      if (stream_.endpoint == nullptr) return {};
      text_ = stream_.endpoint->address.text();
      return text_;
    default:
      if (stream_.upstream_time == std::chrono::microseconds::zero()) return {};
      return number(in_milliseconds(stream_.upstream_time));
  }
}

std::string_view LoggedRequest::client(const LogPiece& piece) {
  if (stream_.client.family() == AF_UNSPEC) return {};
  text_ = stream_.client.ip_text();
  // A unix socket has no port, and that of a client behind a proxy is not known.
  const bool with_port = piece.what == LogOperator::ClientAddress && stream_.client.port() != 0;
  if (with_port || text_.empty()) text_ = stream_.client.text();
  return text_;
}

// Envoy calls parts of the request line headers, too.
std::string_view LoggedRequest::request_header(std::string_view name) const {
  if (equal_ignoring_case(name, "host")) return request_.authority;  // its line is written anew
  if (!name.starts_with(':')) return request_.headers.get(name);
  if (name == ":METHOD") return request_.method_name;
  return name == ":PATH" ? request_.path : request_.authority;
}

std::string_view LoggedRequest::number(std::uint64_t value) {
  const auto [end, error] = std::to_chars(digits_.data(), digits_.data() + digits_.size(), value);
  return {digits_.data(), end};
}

std::string_view LoggedRequest::start_time() {
  using namespace std::chrono;
  const auto since_epoch = duration_cast<milliseconds>(stream_.started.time_since_epoch());
  const auto second = floor<seconds>(since_epoch);
  const auto rest = static_cast<unsigned>((since_epoch - second).count());
  text_ = second_text(second.count());
  text_ += static_cast<char>('0' + rest / 100);
  text_ += static_cast<char>('0' + rest / 10 % 10);
  text_ += static_cast<char>('0' + rest % 10);
  text_ += 'Z';
  return text_;
}

}  // namespace baton::proxy::http

// An address one can listen on or connect to: "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock",
// "unix:@abstract". Source: ip(7), ipv6(7), unix(7).
// Thread: none; a plain value. Two equal addresses have equal text().
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "shared/os/error.h"

namespace baton::os {

class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const SocketAddress& other) { assign(other.data(), other.length_); }
  SocketAddress& operator=(const SocketAddress& other) {
    if (this != &other) assign(other.data(), other.length_);
    return *this;
  }
  SocketAddress(SocketAddress&& other) noexcept { swap(other); }
  SocketAddress& operator=(SocketAddress&& other) noexcept {
    SocketAddress taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~SocketAddress() = default;

  // What parse() accepts, for error messages.
  static constexpr std::string_view kSyntax =
      R"("127.0.0.1:80", "[::1]:80", "0.0.0.0:80", "unix:/path" or "unix:@abstract")";

  // Numeric addresses only; a host name is an error that says so.
  static Result<SocketAddress> parse(std::string_view text);
  static SocketAddress from_sockaddr(const sockaddr* address, socklen_t length);
  // The local address of a bound socket: getsockname(2).
  static Result<SocketAddress> of_socket(int fd);

  int family() const { return short_.base.sa_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  // A unix address with a name in the file system.
  bool is_unix_path() const;
  std::string unix_path() const;  // empty unless is_unix_path()
  std::uint16_t port() const;     // 0 for unix
  bool is_any() const;            // 0.0.0.0 or [::], whatever the port
  const sockaddr* data() const {
    return path_ ? reinterpret_cast<const sockaddr*>(path_.get()) : &short_.base;
  }
  socklen_t length() const { return length_; }
  std::string text() const;
  // Without port, brackets and scope; IPv4 in IPv6 form as IPv4; empty when it is no IP address.
  std::string ip_text() const;

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
    return a.text() == b.text();
  }

 private:
  void assign(const sockaddr* address, socklen_t length);
  void swap(SocketAddress& other) noexcept {
    std::swap(short_, other.short_);
    std::swap(length_, other.length_);
    std::swap(path_, other.path_);
  }
  std::string_view unix_name() const;  // as the kernel has it; empty: unnamed, or no unix address

  union Short {
    sockaddr_in6 v6;  // the largest comes first: it is what {} makes zero
    sockaddr_in v4;
    sockaddr base;
  };
  Short short_{};  // of a longer one, its beginning: with the family
  socklen_t length_ = 0;
  // One that is longer than an IPv6 address, else null: every connection keeps its client's.
  std::unique_ptr<sockaddr_un> path_;
};

}  // namespace baton::os

#include "proxy/admin/admin_server.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "shared/os/unique_fd.h"

namespace baton::proxy {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kMaxClients = 64;
constexpr std::size_t kMaxHeadBytes = 8192;
constexpr double kClientSeconds = 10;
constexpr double kAcceptRetrySeconds = 0.1;

std::string response(std::string_view status, std::string_view body) {
  return "HTTP/1.1 " + std::string(status) +
         "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + std::string(body);
}

}  // namespace

// One connection: reads a request's head, then writes the answer, then closes.
class AdminServer::Client {
 public:
  Client(AdminServer& server, os::UniqueFd fd)
      : server_(server),
        fd_(std::move(fd)),
        watcher_(server.loop_.ref()),
        timer_(server.loop_.ref()) {
    parser_.header_limit(kMaxHeadBytes);
    watcher_.set<Client, &Client::on_ready>(this);
    watcher_.start(fd_.get(), ev::READ);
    timer_.set<Client, &Client::on_timeout>(this);
    timer_.start(kClientSeconds);
  }

  void send(std::string text, bool head_only) {
    if (head_only) text.resize(text.find("\r\n\r\n") + 4);
    output_ = std::move(text);
    watcher_.stop();
    watcher_.start(fd_.get(), ev::WRITE);
  }
  bool head_only() const { return parser_.get().method() == http::verb::head; }
  bool is_read_request() const { return head_only() || parser_.get().method() == http::verb::get; }

 private:
  enum class Verdict { Keep, Close };

  void on_ready(ev::io&, int events) noexcept {
    if ((events & ev::WRITE ? write() : read()) == Verdict::Close) server_.remove(*this);
  }

  Verdict read() {
    char bytes[4096];
    const ssize_t count = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Verdict::Keep;
    if (count <= 0) return Verdict::Close;
    pending_.append(bytes, static_cast<std::size_t>(count));
    boost::system::error_code error;
    pending_.erase(0, parser_.put(boost::asio::buffer(pending_), error));
    if (error == http::error::need_more) return Verdict::Keep;
    watcher_.stop();
    if (error) {
      send(response("400 Bad Request", "malformed request\n"), false);
    } else {
      server_.answer(*this, std::string(parser_.get().target()));
    }
    return Verdict::Keep;
  }

  Verdict write() {
    const ssize_t count = ::send(fd_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Verdict::Keep;
    if (count >= 0) output_.erase(0, static_cast<std::size_t>(count));
    return count < 0 || output_.empty() ? Verdict::Close : Verdict::Keep;
  }

  void on_timeout(ev::timer&, int) noexcept { server_.remove(*this); }

  AdminServer& server_;
  os::UniqueFd fd_;
  ev::io watcher_;
  ev::timer timer_;
  http::request_parser<http::empty_body> parser_;
  std::string pending_;
  std::string output_;
};

struct AdminServer::Acceptor {
  Acceptor(AdminServer& owner, int socket)
      : server(owner), fd(socket), watcher(owner.loop_.ref()), retry(owner.loop_.ref()) {
    watcher.set<Acceptor, &Acceptor::on_ready>(this);
    retry.set<Acceptor, &Acceptor::on_retry>(this);
    watcher.start(fd, ev::READ);
  }
  ~Acceptor() {
    watcher.stop();
    EventLoop::forget_fd(server.loop_.ref(), fd);  // the next generation holds the socket, too
  }
  void on_ready(ev::io&, int) noexcept {
    if (server.accept_one(fd)) return;
    watcher.stop();  // out of descriptors: looking again at once would spin
    retry.start(kAcceptRetrySeconds);
  }
  void on_retry(ev::timer&, int) noexcept { watcher.start(fd, ev::READ); }

  AdminServer& server;
  int fd;  // borrowed
  ev::io watcher;
  ev::timer retry;
};

AdminServer::AdminServer(EventLoop& loop, StatsSource stats)
    : loop_(loop), stats_(std::move(stats)) {}
AdminServer::~AdminServer() = default;

void AdminServer::accept_on(int fd) {
  for (const auto& acceptor : acceptors_) {
    if (acceptor->fd == fd) return;
  }
  acceptors_.push_back(std::make_unique<Acceptor>(*this, fd));
}

void AdminServer::release() { acceptors_.clear(); }

bool AdminServer::accept_one(int fd) {
  os::UniqueFd client(::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!client) return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
  if (clients_.size() >= kMaxClients) return true;  // closed: an admin client asks again
  clients_.push_back(std::make_shared<Client>(*this, std::move(client)));
  return true;
}

void AdminServer::answer(Client& client, const std::string& target) {
  const bool head_only = client.head_only();
  const std::string path = target.substr(0, target.find('?'));
  if (!client.is_read_request()) {
    return client.send(response("405 Method Not Allowed", "only GET and HEAD\n"), false);
  }
  if (path == "/ready") {
    return client.send(ready_ ? response("200 OK", "ready\n")
                              : response("503 Service Unavailable", "not taking connections\n"),
                       head_only);
  }
  if (path == "/metrics") {
    const auto found = std::ranges::find_if(
        clients_, [&client](const auto& held) { return held.get() == &client; });
    stats_([weak = std::weak_ptr<Client>(*found), head_only](std::string text) {
      const auto alive = weak.lock();
      if (!alive) return;
      alive->send(text.empty() ? response("503 Service Unavailable", "no statistics now\n")
                               : response("200 OK", text),
                  head_only);
    });
    return;
  }
  client.send(path == "/" ? response("200 OK", "/ready\n/metrics\n")
                          : response("404 Not Found", "there is /ready and /metrics\n"),
              head_only);
}

void AdminServer::remove(Client& client) {
  clients_.remove_if([&client](const auto& held) { return held.get() == &client; });
}

}  // namespace baton::proxy

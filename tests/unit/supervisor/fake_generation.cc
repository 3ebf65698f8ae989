// A generation that speaks the supervisor's protocol, serves unix sockets with its number, and can
// be told by its configuration to fail at any point:
//
//   # listen /path/of/a.sock
//   # at POINT do WHAT            POINT: welcomed, negotiated, inherited, warmed, ready, serve,
//   served,
//                                        pause, resume, ping, drain
//                                 WHAT:  die (SIGKILL), crash (exit 3), hang, fail, refuse,
//                                        garbage (on the channel), ignore (not answer),
//                                        orphan (leave a process behind)
//   # at POINT of N do WHAT       only generation N
//   # version TEXT
//
// By its program name: "...-die-at-start", "...-hang-at-start", "...-old-protocol",
// "...-other-layout".
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <list>
#include <sstream>

#include "proto/channel.h"
#include "proto/generation.pb.h"
#include "shared/os/memfd.h"
#include "shared/os/socket_address.h"
#include "shared/region/layout.h"

namespace {

using namespace baton;

struct Misdeed {
  std::string point;
  std::uint64_t generation = 0;  // 0: any
  std::string what;
};

struct Listener {
  std::string path;
  os::UniqueFd fd;
};

class FakeGeneration {
 public:
  FakeGeneration(std::string name, int channel_fd)
      : name_(std::move(name)), channel_(loop_, os::UniqueFd(channel_fd), "supervisor") {
    channel_.on_close([this](const std::string&) { loop_.break_loop(ev::ALL); });
    obey<proto::Serve>(proto::SERVE, "serve", [this] { serve(); });
    obey<proto::Pause>(proto::PAUSE, "pause", [this] { accept_.clear(); });
    obey<proto::Resume>(proto::RESUME, "resume", [this] { serve(); });
    obey<proto::Ping>(proto::PING, "ping", [] {});
    obey<proto::Drain>(proto::DRAIN, "drain", [this] { leave_.start(0); });
    leave_.set<FakeGeneration, &FakeGeneration::leave>(this);
  }

  int run() {
    if (name_.ends_with("-die-at-start")) ::raise(SIGKILL);
    if (name_.ends_with("-hang-at-start")) ::pause();
    proto::Hello hello;
    hello.set_protocol_min(name_.ends_with("-old-protocol") ? 77 : 1);
    hello.set_protocol_max(name_.ends_with("-old-protocol") ? 78 : 1);
    hello.set_region_layout(region::kLayoutVersion + name_.ends_with("-other-layout"));
    hello.set_build("fake-1");
    hello.add_features("listeners");
    channel_.request<proto::Welcome>(
        proto::WELCOME_ME, hello, {}, std::chrono::seconds(5),
        [this](const std::expected<proto::Welcome, proto::CallError>& welcome, proto::Fds fds) {
          if (!welcome) return fail(welcome.error().text);
          on_welcome(*welcome, std::move(fds));
        });
    loop_.run();
    return status_;
  }

 private:
  bool refuses(const std::string& point) const {
    for (const Misdeed& each : misdeeds_) {
      const bool here = each.generation == 0 || each.generation == generation_;
      if (each.point == point && here && each.what == "refuse") return true;
    }
    return false;
  }

  // The configured misdeed of this point, if any. True: go on as if nothing were.
  bool reach(const std::string& point) {
    for (const Misdeed& each : misdeeds_) {
      if (each.point != point) continue;
      if (each.generation != 0 && each.generation != generation_) continue;
      if (each.what == "die") ::raise(SIGKILL);
      if (each.what == "crash") ::_exit(3);
      if (each.what == "hang") {
        for (;;) ::pause();
      }
      if (each.what == "orphan") {
        pollfd parent_ends{.fd = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)),
                           .events = POLLIN,
                           .revents = 0};
        if (::fork() == 0) {
          ::poll(&parent_ends, 1, -1);
          ::_exit(0);
        }
        return true;
      }
      if (each.what == "stop-supervisor") {
        ::kill(::getppid(), SIGSTOP);
        return true;
      }
      if (each.what == "fail") fail("told to fail at " + point);
      if (each.what == "garbage") {
        [[maybe_unused]] const auto sent = ::send(channel_.fd(), "garbage", 7, MSG_NOSIGNAL);
      }
      return false;
    }
    return true;
  }

  template <class Message, class Act>
  void obey(proto::GenerationKind kind, const std::string& point, Act act) {
    channel_.handle<Message>(
        static_cast<std::uint16_t>(kind),
        [this, point, act](const Message&, proto::Fds fds, const proto::Responder& responder) {
          for (os::UniqueFd& fd : fds) kept_.push_back(std::move(fd));
          if (refuses(point)) return responder.fail(proto::ErrorReply::REFUSED, "no");
          if (!reach(point)) return;
          act();
          responder.reply(proto::Done());
          if (point == "serve") reach("served");
        });
  }

  void on_welcome(const proto::Welcome& welcome, proto::Fds fds) {
    generation_ = welcome.generation();
    for (int i = 0; i < welcome.fds_size(); ++i) {
      if (welcome.fds(i) != proto::FD_CONFIG) continue;
      configure(
          os::read_sealed_memfd(fds[static_cast<std::size_t>(i)].get(), 1 << 20).value_or(""));
    }
    if (!reach("welcomed")) return;
    reached(proto::NEGOTIATED);
    if (!reach("negotiated")) return;
    proto::SocketKeys keys;
    for (const Listener& listener : listeners_) set_key(*keys.add_keys(), listener.path);
    channel_.request<proto::Sockets>(
        proto::ESCROW_GET, keys, {}, std::chrono::seconds(5),
        [this](const std::expected<proto::Sockets, proto::CallError>& sockets, proto::Fds got) {
          if (!sockets) return fail(sockets.error().text);
          inherit(*sockets, std::move(got));
        });
  }

  void configure(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string hash, verb, of;
      words >> hash >> verb;
      if (hash != "#") continue;
      Misdeed misdeed;
      if (verb == "listen") {
        words >> listeners_.emplace_back().path;
      } else if (verb == "at") {
        words >> misdeed.point >> of;
        if (of == "of") words >> misdeed.generation >> of;
        words >> misdeed.what;
        misdeeds_.push_back(misdeed);
      }
    }
  }

  void inherit(const proto::Sockets& sockets, proto::Fds fds) {
    for (int i = 0; i < sockets.sockets_size(); ++i) {
      for (Listener& listener : listeners_) {
        if ("unix:" + listener.path != sockets.sockets(i).key().address()) continue;
        listener.fd = std::move(fds[static_cast<std::size_t>(i)]);
      }
    }
    proto::Sockets put;
    std::vector<int> put_fds;
    for (Listener& listener : listeners_) {
      if (!listener.fd && !bind(listener)) return fail("bind " + listener.path);
      set_key(*put.add_sockets()->mutable_key(), listener.path);
      put_fds.push_back(listener.fd.get());
    }
    channel_.request<proto::Done>(
        proto::ESCROW_PUT, put, put_fds, std::chrono::seconds(5),
        [this](const std::expected<proto::Done, proto::CallError>& done, const proto::Fds&) {
          if (!done) return fail(done.error().text);
          warm();
        });
  }

  static bool bind(Listener& listener) {
    const auto address = os::SocketAddress::parse("unix:" + listener.path);
    listener.fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return ::bind(listener.fd.get(), address->data(), address->length()) == 0;
  }

  static void set_key(proto::SocketKey& key, const std::string& path) {
    key.set_address("unix:" + path);
    key.set_type(proto::SocketKey::STREAM);
  }

  void warm() {
    reached(proto::INHERITED);
    if (!reach("inherited")) return;
    reached(proto::WARMED);
    if (!reach("warmed")) return;
    proto::Ready ready;
    for (const Listener& listener : listeners_) {
      set_key(*ready.add_keys(), listener.path);
      ready.add_listeners("fake unix:" + listener.path);
    }
    channel_.notify(proto::READY, ready);
    reach("ready");
  }

  void reached(proto::Phase phase) {
    proto::Reached message;
    message.set_phase(phase);
    channel_.notify(proto::REACHED, message);
  }

  void serve() {
    accept_.clear();
    for (const Listener& listener : listeners_) {
      ::listen(listener.fd.get(), 16);
      ev::io& watcher = accept_.emplace_back(loop_);
      watcher.set<FakeGeneration, &FakeGeneration::on_acceptable>(this);
      watcher.start(listener.fd.get(), ev::READ);
    }
  }

  void on_acceptable(ev::io& watcher, int) {
    const os::UniqueFd client(::accept4(watcher.fd, nullptr, nullptr, SOCK_CLOEXEC));
    const std::string text = std::to_string(generation_);
    [[maybe_unused]] const auto sent = ::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }

  void fail(const std::string& reason) {
    proto::StartFailed message;
    message.set_reason(reason);
    channel_.notify(proto::START_FAILED, message);
    status_ = 1;
    leave_.start(0);
  }

  void leave() { loop_.break_loop(ev::ALL); }

  std::string name_;
  ev::dynamic_loop loop_;
  std::uint64_t generation_ = 0;
  int status_ = 0;
  std::vector<Misdeed> misdeeds_;
  std::list<Listener> listeners_;
  std::list<ev::io> accept_;
  proto::Fds kept_;
  ev::timer leave_{loop_};
  proto::Channel channel_;
};

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--version") == 0) return std::puts("baton proxy fake-1") < 0;
    if (std::strcmp(argv[i], "--check") == 0) {
      std::fprintf(stderr, "checked by the fake\n");
      return i + 1 < argc ? 0 : 2;  // good only with a file
    }
    if (std::strcmp(argv[i], "--channel-fd") == 0 && i + 1 < argc) {
      return FakeGeneration(argv[0], std::atoi(argv[i + 1])).run();
    }
  }
  return 2;
}

#include "proxy/server/homecoming.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "proto/control.pb.h"
#include "proxy/server/socket_messages.h"
#include "shared/os/log.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

constexpr std::chrono::milliseconds kHomeAnswerTime{10'000};

// Nothing: nobody is there, or somebody whose business it is not.
os::UniqueFd connect_to(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.empty() || path.size() >= sizeof address.sun_path) return {};
  std::memcpy(address.sun_path, path.data(), path.size());
  os::UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {};
  }
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return {};
  if (peer.uid != 0 && peer.uid != ::geteuid()) return {};
  return socket;
}

}  // namespace

Homecoming::Homecoming(ev::loop_ref loop, Door door, std::function<Belongings()> belongings,
                       Home home)
    : loop_(loop),
      door_(std::move(door)),
      belongings_(std::move(belongings)),
      home_(std::move(home)),
      next_(loop) {
  next_.set<Homecoming, &Homecoming::knock>(this);
}

void Homecoming::start() {
  attempts_ = 0;
  refused_ = false;
  next_.start(0);
}

void Homecoming::knock() noexcept {
  connection_.reset();
  os::UniqueFd socket = connect_to(door_.control_path);
  if (!socket) return knock_again();
  connection_ = std::make_unique<proto::Channel>(loop_, std::move(socket), "new supervisor");
  hand_over();
}

void Homecoming::knock_again() {
  const auto wait = ++attempts_ < kHurriedAttempts ? kHurried : kPatient;
  next_.start(os::seconds(wait));
}

void Homecoming::hand_over() {
  const Belongings mine = belongings_();
  proto::ComeBack request;
  request.set_generation(door_.generation);
  request.set_token(door_.token);
  request.set_standing(mine.standing);
  request.set_drain_left_ms(static_cast<std::uint64_t>(mine.drain_left.count()));
  const proto::ComeBack bare = request;
  std::vector<int> fds;
  for (const auto& [role, fd] : mine.fds) {
    request.add_fds(role);
    fds.push_back(fd);
  }
  const os::UniqueFd binary(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  if (binary) {
    request.add_fds(proto::FD_BINARY);
    fds.push_back(binary.get());
  }
  send(std::move(request), fds);
  send_in_parts<proto::ComeBack>(
      mine.sockets, [&](proto::ComeBack& part, std::span<const int> its_fds, bool last) {
        part.MergeFrom(bare);
        part.set_last(last);
        send(std::move(part), its_fds);
      });
}

void Homecoming::send(proto::ComeBack request, std::span<const int> fds) {
  connection_->request<proto::CameBack>(
      proto::COME_BACK, request, fds, kHomeAnswerTime,
      [this, last = request.last()](const Reply& reply, proto::Fds channel) {
        on_reply(reply, std::move(channel), last);
      });
}

// Whatever goes wrong: from the beginning, a little later. But once the supervisor has given out a
// channel, this generation is back for it.
void Homecoming::on_reply(const Reply& reply, proto::Fds fds, bool last) {
  if (reply && !last) return;
  const bool is_back = reply && fds.size() == 1;
  if (!is_back && next_.is_active()) return;  // an earlier part has failed
  if (!is_back) {
    if (!reply && reply.error().code == proto::CallError::Code::Refused &&
        !std::exchange(refused_, true)) {
      log::warning("the new supervisor does not take this generation back: {}", reply.error().text);
    }
    return knock_again();
  }
  next_.stop();
  const std::unique_ptr<proto::Channel> done = std::move(connection_);
  home_(std::move(fds.front()));
}

}  // namespace baton::proxy

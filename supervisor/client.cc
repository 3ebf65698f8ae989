#include "supervisor/client.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "supervisor/command_line.h"
#include "supervisor/control_socket.h"

namespace baton::supervisor {
namespace {

ClientError describe(const os::Error& error, const std::string& path) {
  switch (error.code) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return {kNoSupervisor, "no supervisor at " + path};
    case EACCES:
    case EPERM:
      return {kRefused, "not permitted: " + path};
    case EAGAIN:
      return {kRefused, "the supervisor is busy with other commands"};
    case 0:
      return {kBadUsage, error.text()};
    default:
      return {kNoSupervisor, error.text()};
  }
}

ClientError describe(const proto::CallError& error) {
  switch (error.code) {
    case proto::CallError::Code::Unsupported:
      return {kFailed, "the supervisor does not know this command: it is of another version"};
    case proto::CallError::Code::Refused:
      return {kRefused, error.text};
    case proto::CallError::Code::BadRequest:
      return {kBadUsage, error.text};
    case proto::CallError::Code::DeadlineExceeded:
      return {kFailed, "the supervisor does not answer"};
    case proto::CallError::Code::Closed:
      return {kNoSupervisor, "the supervisor has gone"};
    case proto::CallError::Code::Failed:
    case proto::CallError::Code::Malformed:
      break;
  }
  return {kFailed, error.text};
}

}  // namespace

std::expected<std::unique_ptr<Client>, ClientError> Client::connect(const std::string& path) {
  auto connection = connect_control_socket(path);
  if (!connection) return std::unexpected(describe(connection.error(), path));
  os::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, connection->pid, 0)));
  return std::unique_ptr<Client>(new Client(std::move(connection->socket), std::move(pidfd)));
}

Client::Client(os::UniqueFd socket, os::UniqueFd pidfd)
    : pidfd_(std::move(pidfd)), channel_(loop_, std::move(socket), "supervisor") {}

std::expected<Client::Reply, ClientError> Client::call(proto::ControlKind kind,
                                                       const google::protobuf::MessageLite& request,
                                                       std::chrono::milliseconds deadline,
                                                       const OnPartial& on_partial) {
  std::expected<Reply, ClientError> result = std::unexpected(malformed());
  channel_.request_raw(static_cast<std::uint16_t>(kind), request, {}, deadline,
                       [&](std::expected<proto::RawReply, proto::CallError> raw) {
                         if (raw && raw->partial) {
                           if (on_partial) on_partial(raw->body);
                           return;
                         }
                         if (raw) {
                           result = Reply{std::string(raw->body), std::move(raw->fds)};
                         } else {
                           result = std::unexpected(describe(raw.error()));
                         }
                         loop_.break_loop(ev::ALL);
                       });
  loop_.run();
  return result;
}

bool Client::wait_for_end(std::chrono::milliseconds limit) const {
  pollfd ended{.fd = pidfd_.get(), .events = POLLIN};
  if (!pidfd_) return true;
  return ::poll(&ended, 1, static_cast<int>(limit.count())) == 1;
}

ClientError Client::malformed() { return {kFailed, "the supervisor's answer is malformed"}; }

}  // namespace baton::supervisor

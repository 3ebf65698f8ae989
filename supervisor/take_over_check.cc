#include "supervisor/take_over_check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "shared/os/duration.h"
#include "shared/os/seconds.h"

namespace baton::supervisor {
namespace {

constexpr int kStateFd = 3;
constexpr int kAnswerFd = 4;
constexpr std::size_t kMostAnswerBytes = 4096;
// What is killed has ended long before, unless the kernel holds it.
constexpr std::chrono::milliseconds kDeathTime{1000};

}  // namespace

os::Result<std::unique_ptr<TakeOverCheck>> TakeOverCheck::start(ev::loop_ref loop,
                                                                const Options& options, Done done) {
  const os::UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return os::errno_error("open", "/dev/null");
  os::UniqueFd answer(::memfd_create("baton-answer", MFD_CLOEXEC));
  if (!answer) return os::errno_error("memfd_create", "baton-answer");
  // Whatever else it may print is not for this program's log: it may be no supervisor at all.
  auto child =
      os::spawn({.binary_fd = options.binary_fd,
                 .arguments = {options.path, "take-over", "--check", "--state-fd",
                               std::to_string(kStateFd), "--answer-fd", std::to_string(kAnswerFd)},
                 .inherited = {{nothing.get(), STDIN_FILENO},
                               {nothing.get(), STDOUT_FILENO},
                               {nothing.get(), STDERR_FILENO},
                               {options.state_fd, kStateFd},
                               {answer.get(), kAnswerFd}}});
  if (!child) return std::unexpected(child.error());
  return std::unique_ptr<TakeOverCheck>(
      new TakeOverCheck(loop, options.path, std::move(*child), std::move(answer), std::move(done)));
}

TakeOverCheck::TakeOverCheck(ev::loop_ref loop, std::string path, os::Child child,
                             os::UniqueFd answer, Done done)
    : path_(std::move(path)),
      child_(std::move(child)),
      answer_(std::move(answer)),
      done_(std::move(done)),
      ended_(loop),
      patience_(loop) {
  ended_.set<TakeOverCheck, &TakeOverCheck::on_ended>(this);
  ended_.start(child_.pidfd.get(), ev::READ);
  patience_.set<TakeOverCheck, &TakeOverCheck::on_timeout>(this);
  patience_.start(os::seconds(kPatience));
}

// Reaped here, since this process may be about to end, or, if it is slow to die, by whoever reaps
// children.
TakeOverCheck::~TakeOverCheck() {
  os::send_signal(child_.pidfd.get(), SIGKILL);
  pollfd ended{.fd = child_.pidfd.get(), .events = POLLIN};
  while (::poll(&ended, 1, static_cast<int>(kDeathTime.count())) < 0 && errno == EINTR) {
  }
  static_cast<void>(os::reap(child_.pidfd.get()));
}

void TakeOverCheck::on_ended() {
  ended_.stop();
  patience_.stop();
  std::exchange(done_, nullptr)(verdict());
}

void TakeOverCheck::on_timeout() {
  ended_.stop();
  std::exchange(done_, nullptr)(path_ + " did not say within " + os::format_duration(kPatience) +
                                " whether it can take over");
}

std::optional<std::string> TakeOverCheck::verdict() const {
  std::string text(kMostAnswerBytes, '\0');
  const ssize_t count = ::pread(answer_.get(), text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(count > 0 ? count : 0));
  if (text == kTakesOver) return std::nullopt;
  if (text.empty()) return path_ + " cannot take over; is it a Baton supervisor, new enough?";
  return path_ + " cannot take over: " + text;
}

}  // namespace baton::supervisor

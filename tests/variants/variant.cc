// A proxy that differs from the real one in what the build says: another version, another layout of
// the region, fewer features, or a fault. Tests swap to it and back. One tries what its system call
// filter forbids, and logs how that went.
//
// BATON_TEST_HOLD=<point>[:<generation>] makes it hang on reaching that point of its start (start,
// negotiated, bound, inherited, warmed, ready, serving), or of a batch of connections that moves
// (offered, accepted, committed in the old one; prepared, answered, started in the new one: the
// worker hangs), so that a test can kill it exactly there.
//
// BATON_TEST_KNOWS=<kind>,<kind>... makes it take over connections of these kinds only, by their
// names in proto/move.proto.
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>

#include "proto/negotiation.h"
#include "proxy/server/proxy_main.h"
#include "shared/os/error.h"
#include "shared/os/log.h"
#include "shared/region/layout.h"
#include "shared/version.h"

#ifndef VARIANT_LAYOUT_OFFSET
#define VARIANT_LAYOUT_OFFSET 0
#endif
#ifndef VARIANT_CRASH_AFTER_MS
#define VARIANT_CRASH_AFTER_MS 0
#endif

namespace {

using baton::proxy::StartPoint;

std::string name_of(StartPoint point) {
  switch (point) {
    case StartPoint::Start:
      return "start";
    case StartPoint::Negotiated:
      return "negotiated";
    case StartPoint::Bound:
      return "bound";
    case StartPoint::Inherited:
      return "inherited";
    case StartPoint::Warmed:
      return "warmed";
    case StartPoint::Ready:
      return "ready";
    case StartPoint::Serving:
      return "serving";
  }
  return "unknown";
}

std::string name_of(baton::proxy::MovePoint point) {
  using baton::proxy::MovePoint;
  switch (point) {
    case MovePoint::Offered:
      return "offered";
    case MovePoint::Accepted:
      return "accepted";
    case MovePoint::Committed:
      return "committed";
    case MovePoint::Prepared:
      return "prepared";
    case MovePoint::Answered:
      return "answered";
    case MovePoint::Started:
      return "started";
  }
  return "unknown";
}

void hold_if_asked(const std::string& point, std::uint64_t generation) {
  const char* hold = std::getenv("BATON_TEST_HOLD");
  if (hold == nullptr) return;
  if (point != hold && point + ":" + std::to_string(generation) != hold) return;
  baton::log::info("holding at {}", point);
  for (;;) ::pause();
}

bool knows_kind(baton::proto::MoveKind kind) {
  const char* const kinds = std::getenv("BATON_TEST_KNOWS");
  if (kinds == nullptr) return true;
  const std::string name = baton::proto::MoveKind_Name(kind);
  return ("," + std::string(kinds) + ",").find("," + name + ",") != std::string::npos;
}

void crash(int) {
  std::signal(SIGSEGV, SIG_DFL);
  ::kill(::getpid(), SIGSEGV);
}

void crash_later() {
  if (VARIANT_CRASH_AFTER_MS == 0) return;
  std::signal(SIGALRM, crash);
  const itimerval timer{.it_interval = {}, .it_value = {0, VARIANT_CRASH_AFTER_MS * 1000 + 1}};
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

// What a proxy that somebody has taken over would be used for, each with what the kernel says.
void try_what_is_forbidden() {
#ifdef VARIANT_TRIES_WHAT_IS_FORBIDDEN
  const auto report = [](const char* what, bool done) {
    baton::log::info("tried {}: {}", what, done ? "done" : baton::os::error_text(errno));
  };
  char* const nothing[] = {nullptr};
  report("execve", ::execve("/nonexistent", nothing, nothing) == 0 || errno == ENOENT);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  report("fork", child > 0);
  report("ptrace", ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0);
  report("netlink", ::socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
  report("executable memory", ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  // With it everything else could be asked for past the filter.
  report("io_uring", ::syscall(SYS_io_uring_setup, 1, nullptr) >= 0 || errno == EFAULT);
  report("kill", ::kill(::getppid(), 0) == 0);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  using namespace baton;
  proxy::BuildInfo build{.version = std::string(kVersion) + "-" + VARIANT_NAME,
                         .region_layout = region::kLayoutVersion + VARIANT_LAYOUT_OFFSET,
                         .features = {std::string(proto::kFeatureListeners)}};
#ifndef VARIANT_LISTENERS_ONLY
  build.features.emplace_back(proto::kFeatureStatsDelta);
  build.features.emplace_back(proto::kFeatureMove);
  build.features.emplace_back(proto::kFeatureSessions);
  build.features.emplace_back(proto::kFeatureReturn);
  build.features.emplace_back(proto::kFeatureNarrower);
#ifndef VARIANT_WITHOUT_FOLLOW
  build.features.emplace_back(proto::kFeatureFollow);
#endif
#endif
  build.move_hooks = [](std::uint64_t generation) {
    return proxy::MoveHooks{
        .on_point =
            [generation](proxy::MovePoint point) { hold_if_asked(name_of(point), generation); },
        .knows_kind = knows_kind};
  };
  build.reached = [](StartPoint point, std::uint64_t generation) {
    hold_if_asked(name_of(point), generation);
    if (point == StartPoint::Serving) crash_later();
    if (point == StartPoint::Serving) try_what_is_forbidden();
  };
  return proxy::proxy_main(argc, argv, build);
}

// A proxy that differs from the real one in what the build says: another version, another layout of
// the region, fewer features, or a fault. Tests swap to it and back.
//
// BATON_TEST_HOLD=<point>[:<generation>] makes it hang on reaching that point of its start (start,
// negotiated, inherited, warmed, ready, serving), or of a batch of connections that moves (offered,
// accepted, committed in the old one; prepared, answered, started in the new one: the worker
// hangs), so that a test can kill it exactly there.
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "proto/negotiation.h"
#include "proxy/server/proxy_main.h"
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

}  // namespace

int main(int argc, char** argv) {
  using namespace baton;
  proxy::BuildInfo build{.version = std::string(kVersion) + "-" + VARIANT_NAME,
                         .region_layout = region::kLayoutVersion + VARIANT_LAYOUT_OFFSET,
                         .features = {std::string(proto::kFeatureListeners)}};
#ifndef VARIANT_LISTENERS_ONLY
  build.features.emplace_back(proto::kFeatureStatsDelta);
  build.features.emplace_back(proto::kFeatureMove);
#endif
  build.moving = [](baton::proxy::MovePoint point, std::uint64_t generation) {
    hold_if_asked(name_of(point), generation);
  };
  build.reached = [](StartPoint point, std::uint64_t generation) {
    hold_if_asked(name_of(point), generation);
    if (point == StartPoint::Serving) crash_later();
  };
  return proxy::proxy_main(argc, argv, build);
}

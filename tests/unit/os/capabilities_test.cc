#include "shared/os/capabilities.h"

#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "tests/unit/in_child.h"

using namespace baton;

namespace {

// Of this thread, by the name that proc(5) gives the set.
std::uint64_t set(const std::string& name) {
  std::ifstream status("/proc/thread-self/status");
  for (std::string word; status >> word;) {
    if (word == name + ":") return status >> word, std::stoull(word, nullptr, 16);
  }
  return ~std::uint64_t{0};
}

constexpr std::uint64_t bit(int number) { return std::uint64_t{1} << number; }

}  // namespace

TEST_CASE("capabilities: all sets have what was kept, and no more") {
  if (::geteuid() != 0) return;
  const int step = test::in_child([] {
    const std::uint64_t before = set("CapPrm");
    const std::uint64_t kept = bit(CAP_NET_BIND_SERVICE) | bit(CAP_BPF);
    const bool may_bound = (before & bit(CAP_SETPCAP)) != 0;
    if (!os::keep_capabilities({CAP_NET_BIND_SERVICE, CAP_BPF})) return 1;
    for (const char* name : {"CapPrm", "CapEff"}) {
      if (set(name) != (before & kept)) return 2;
    }
    for (const char* name : {"CapInh", "CapAmb"}) {
      if ((set(name) & ~kept) != 0) return 3;
    }
    return may_bound && (set("CapBnd") & ~kept) != 0 ? 4 : 0;
  });
  CHECK(step == 0);
}

TEST_CASE("capabilities: what root runs has no more than is left") {
  if (::geteuid() != 0) return;
  const int step = test::in_child([] {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 1;
    if (!os::keep_capabilities({CAP_NET_BIND_SERVICE})) return 2;
    ::execl("/bin/grep", "grep", "-Eq", "^CapPrm:[[:space:]]0+(400)?$", "/proc/self/status",
            nullptr);
    return 3;
  });
  CHECK(step == 0);
}

TEST_CASE("capabilities: to keep what there is not is to have nothing") {
  const int step = test::in_child([] {
    if (!os::keep_capabilities({}) || set("CapPrm") != 0) return 1;
    return os::keep_capabilities({CAP_NET_BIND_SERVICE}) && set("CapPrm") == 0 ? 0 : 2;
  });
  CHECK(step == 0);
}

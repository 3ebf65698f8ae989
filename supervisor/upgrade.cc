#include "supervisor/upgrade.h"

#include <utility>

#include "shared/os/memfd.h"
#include "shared/os/seconds.h"
#include "supervisor/open_pair.h"

namespace baton::supervisor {
namespace {

constexpr std::chrono::milliseconds kLookAgain{20};

}  // namespace

os::Result<std::unique_ptr<Upgrade>> Upgrade::start(ev::loop_ref loop, const std::string& path,
                                                    std::string_view state, Observer observer) {
  auto binary = open_binary(path, "supervisor binary");
  if (!binary) return std::unexpected(binary.error());
  const auto memory = os::create_sealed_memfd("baton-state", state);
  if (!memory) return std::unexpected(memory.error());
  std::unique_ptr<Upgrade> upgrade(
      new Upgrade(loop, path, std::move(*binary), std::move(observer)));
  auto check = TakeOverCheck::start(
      loop, {.binary_fd = upgrade->binary(), .state_fd = memory->get(), .path = path},
      [self = upgrade.get()](const std::optional<std::string>& refusal) {
        refusal ? self->fail(*refusal) : self->look();
      });
  if (!check) return std::unexpected(check.error());
  upgrade->check_ = std::move(*check);
  return upgrade;
}

Upgrade::Upgrade(ev::loop_ref loop, std::string path, os::UniqueFd binary, Observer observer)
    : path_(std::move(path)),
      binary_(std::move(binary)),
      observer_(std::move(observer)),
      next_look_(loop),
      looks_left_(static_cast<int>(kQuietTime / kLookAgain)) {
  next_look_.set<Upgrade, &Upgrade::look>(this);
}

void Upgrade::look() {
  if (observer_.is_quiet()) {
    const auto ready = std::move(observer_.ready);
    return ready();
  }
  if (--looks_left_ <= 0) return fail("a generation does not read what it is sent");
  next_look_.start(os::seconds(kLookAgain));
}

void Upgrade::fail(const std::string& reason) {
  const auto failed = std::move(observer_.failed);  // it may destroy this object
  failed(reason);
}

}  // namespace baton::supervisor

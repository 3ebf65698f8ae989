#include "supervisor/generation_services.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "proto/negotiation.h"
#include "shared/os/log.h"
#include "shared/os/memfd.h"
#include "shared/os/socket_type.h"
#include "supervisor/escrow.h"

namespace baton::supervisor {
namespace {

using proto::ErrorReply;

// Keeps a message far below the limits of descriptors and of bytes, whatever the keys' length.
constexpr std::size_t kSocketsPerReply = 128;

}  // namespace

void GenerationServices::serve(proto::Channel& channel, GenerationRecord& generation) {
  channel.handle<proto::Sockets>(proto::ESCROW_PUT,
                                 [this, &generation](const proto::Sockets& sockets, proto::Fds fds,
                                                     const proto::Responder& responder) {
                                   put(generation, sockets, std::move(fds), responder);
                                 });
  channel.handle<proto::SocketKeys>(proto::ESCROW_GET,
                                    [this, &generation](const proto::SocketKeys& wanted, proto::Fds,
                                                        const proto::Responder& responder) {
                                      get(generation, wanted, responder);
                                    });
  channel.handle<proto::StatsDelta>(
      proto::STATS_DELTA, [this, &generation](const proto::StatsDelta& delta, proto::Fds,
                                              const proto::Responder& responder) {
        if (region_.add(generation, delta)) {
          responder.reply(proto::Done());
        } else {
          responder.fail(ErrorReply::FAILED, "some metrics are malformed or do not fit");
        }
      });
  channel.handle<proto::StatsTextRequest>(
      proto::STATS_TEXT_GET,
      [this](const proto::StatsTextRequest& request, proto::Fds,
             const proto::Responder& responder) { stats_text(request, responder); });
}

void GenerationServices::ended(const GenerationRecord& generation) {
  generation.serving_since ? files_.forget_those_of(generation.id)
                           : files_.remove_those_of(generation.id);
}

void GenerationServices::put(const GenerationRecord& generation, const proto::Sockets& sockets,
                             proto::Fds fds, const proto::Responder& responder) {
  if (generation.role != Role::Candidate && generation.role != Role::InCharge) {
    return responder.fail(ErrorReply::REFUSED, "this generation is leaving");
  }
  if (static_cast<std::size_t>(sockets.sockets_size()) != fds.size()) {
    return responder.fail(ErrorReply::BAD_REQUEST, "as many sockets as descriptors, please");
  }
  if (!std::ranges::all_of(
          fds, [](const os::UniqueFd& fd) { return os::socket_type(fd.get()).has_value(); })) {
    return responder.fail(ErrorReply::BAD_REQUEST, "the escrow takes sockets only");
  }
  for (int i = 0; i < sockets.sockets_size(); ++i) {
    const proto::SocketInfo& info = sockets.sockets(i);
    const SocketKey key = SocketKey::from_message(info.key());
    const std::string path = key.unix_path();
    std::optional<FileId> file;
    if (const auto made = file_at(path); made && !path.empty()) file = *made;
    escrow_.put(key, info.index(), generation.id, std::move(fds[static_cast<std::size_t>(i)]),
                file);
    files_.escrowed(key.address);
  }
  responder.reply(proto::Done());
}

void GenerationServices::get(const GenerationRecord& generation, const proto::SocketKeys& wanted,
                             const proto::Responder& responder) {
  std::vector<SocketKey> keys;
  std::vector<SocketKey> incomplete;
  for (int i = 0; i < wanted.keys_size(); ++i) {
    SocketKey key = SocketKey::from_message(wanted.keys(i));
    const std::size_t held = i < wanted.held_size() ? wanted.held(i) : 0;
    if (escrow_.count(key) != held) incomplete.push_back(key);
    if (escrow_.count(key) == 0) files_.expect(key.address, generation.id);
    keys.push_back(std::move(key));
  }
  if (generation.has(proto::kFeatureNarrower)) {
    std::ranges::move(escrow_.narrower_than(keys), std::back_inserter(incomplete));
  }
  const Escrow::Entries found = escrow_.of(incomplete);
  std::size_t next = 0;
  do {
    const std::size_t end = std::min(found.size(), next + kSocketsPerReply);
    proto::Sockets message;
    std::vector<int> fds;
    for (; next < end; ++next) {
      const EscrowEntry& entry = escrow_.entry(found[next]);
      proto::SocketInfo& info = *message.add_sockets();
      entry.key.to_message(*info.mutable_key());
      info.set_index(entry.index);
      fds.push_back(state_.fds.get(entry.fd));
    }
    if (next < found.size()) {
      responder.partial(message, fds);
    } else {
      for (const SocketKey& key : escrow_.ours(keys)) key.to_message(*message.add_ours());
      if (message.ours_size() > 0) name_processes(message);
      for (const SocketKey& key : unreachable(keys)) {
        key.to_message(*message.add_unreachable());
        files_.expect(key.address, generation.id);
      }
      responder.reply(message, fds);
    }
  } while (next < found.size());
}

// Whoever may have sockets of ours: a service manager, too, until it has let go of the last ones.
void GenerationServices::name_processes(proto::Sockets& message) const {
  message.add_processes(::getpid());
  if (!state_.left_behind.empty()) message.add_processes(::getppid());
  for (const auto& [id, generation] : state_.generations) message.add_processes(generation.pid);
}

// Only where somebody serves while the path is found to be a stranger's: what replaces a generation
// that has crashed serves all others without it.
std::vector<SocketKey> GenerationServices::unreachable(std::span<const SocketKey> keys) const {
  const bool is_reload = std::ranges::any_of(state_.generations, [](const auto& generation) {
    return generation.second.role == Role::InCharge;
  });
  return is_reload ? escrow_.unreachable(keys) : std::vector<SocketKey>();
}

void GenerationServices::stats_text(const proto::StatsTextRequest& request,
                                    const proto::Responder& responder) {
  const auto text = region_.text(static_cast<proto::StatsFormat>(request.format()), "");
  if (!text) return responder.fail(ErrorReply::FAILED, text.error().text());
  const auto fd = os::create_sealed_memfd("baton-stats", *text);
  if (!fd) return responder.fail(ErrorReply::FAILED, fd.error().text());
  const int fds[] = {fd->get()};
  responder.reply(proto::StatsReply(), fds);
}

}  // namespace baton::supervisor

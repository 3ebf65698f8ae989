#include "proxy/server/server.h"

#include <linux/capability.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "proto/seqpacket.h"
#include "proxy/http/http_config.h"
#include "shared/os/capabilities.h"
#include "shared/os/log.h"

namespace baton::proxy {
namespace {

// How long lines of the access log may keep a process that is to end.
constexpr std::chrono::milliseconds kLogFlushTime{1000};
// Between the workers of two generations; no generation has more workers.
constexpr std::size_t kMostChannels = 64;

std::set<std::string> identities(const std::vector<proto::SocketKey>& keys) {
  std::set<std::string> result;
  for (const proto::SocketKey& key : keys) result.insert(proto::identity(key));
  return result;
}

std::vector<WantedSockets> wanted_by(const Config& config) {
  std::vector<WantedSockets> wanted;
  for (const ListenerConfig& listener : config.listeners) {
    wanted.push_back({.name = listener.name,
                      .listener = wanted.size(),
                      .address = listener.address,
                      .key = listener.protocol == Protocol::Udp
                                 ? proto::datagram_key(listener.address)
                                 : proto::stream_key(listener.address),
                      .count = listener.address.is_unix() ? 1 : config.workers,
                      .backlog = static_cast<int>(listener.backlog)});
  }
  if (config.admin) {
    wanted.push_back({.name = "admin",
                      .listener = wanted.size(),
                      .address = *config.admin,
                      .key = proto::stream_key(*config.admin),
                      .count = 1,
                      .backlog = 128});
  }
  return wanted;
}

// Of root's, what carrying traffic takes: more UDP sockets on a low port once this generation
// serves; sockets of upstreams, logs and files of endpoints that belong to other users. No more
// CAP_SYS_PTRACE, by which a bind that fails says who has the address.
void give_up_capabilities() {
  const auto kept = os::keep_capabilities({CAP_NET_BIND_SERVICE, CAP_DAC_OVERRIDE});
  if (!kept) log::warning("going on with all capabilities: {}", kept.error().text());
}

// The i-th is between worker i % ours and worker i % theirs: with as many as their least common
// multiple each of ours has equally many, and each of theirs. It is at least one for each worker.
std::size_t channels_between(std::size_t ours, std::size_t theirs) {
  if (theirs == 0 || theirs > kMostChannels) return ours;
  const std::size_t fair = std::lcm(ours, theirs);
  return fair <= kMostChannels ? fair : std::max(ours, theirs);
}

}  // namespace

Server::Server(ServerOptions options)
    : loop_(*options.loop),
      config_(std::move(options.config)),
      stats_(std::move(options.stats)),
      access_logs_(std::move(options.access_logs)),
      wanted_(wanted_by(config_)),
      configured_(wanted_.size()),
      workers_(std::make_unique<WorkerPool>(
          WorkerPoolOptions{.main_loop = &loop_,
                            .config = &config_,
                            .stats = stats_.get(),
                            .generation = options.generation,
                            .version = options.version,
                            .move_hooks = std::move(options.move_hooks),
                            .access_logs = access_logs_.get(),
                            .rings = std::move(options.rings)})) {
  if (config_.admin) {
    admin_ = std::make_unique<AdminServer>(loop_, std::move(options.stats_source));
  }
}

// Nobody appends any more when the logs are closed.
Server::~Server() {
  workers_.reset();
  if (access_logs_) access_logs_->close(kLogFlushTime);
}

os::Result<std::unique_ptr<http::AccessLogs>> open_access_logs(const Config& config,
                                                               StatsStore& stats) {
  auto logs = std::make_unique<http::AccessLogs>(stats);
  for (const ListenerConfig& listener : config.listeners) {
    if (!listener.http || !listener.http->access_log) continue;
    if (auto log = logs->open(listener.http->access_log->path); !log) {
      log.error().operation =
          "listener \"" + listener.name + "\": access_log: " + log.error().operation;
      return std::unexpected(log.error());
    }
  }
  return logs;
}

void Server::reopen_logs() {
  if (access_logs_) access_logs_->reopen();
}

std::vector<std::string> Server::listener_names() const {
  std::vector<std::string> names;
  for (const WantedSockets& wanted : std::span(wanted_).first(configured_))
    names.push_back(wanted.name + " " + wanted.address.text());
  return names;
}

// The kernel gives that address's clients to these sockets as long as anybody has them, and closing
// one would reset those in its queue: so they stay for as long as the wildcard listener does.
void Server::take_narrower() {
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < wanted_.size(); ++i) {
    places.emplace(proto::identity(wanted_[i].key), i);
  }
  for (const ListeningSocket* socket : sockets_.all()) {
    const auto wildcard = proto::wildcard_of(socket->key);
    if (!wildcard || socket->key.type() != proto::SocketKey::STREAM) continue;
    const auto place = places.find(proto::identity(*wildcard));
    if (place == places.end() || places.contains(proto::identity(socket->key))) continue;
    WantedSockets narrower = wanted_[place->second];
    narrower.key = socket->key;
    narrower.address = os::SocketAddress::parse(socket->key.address()).value_or(narrower.address);
    narrower.count = 0;
    log::info("listener \"{}\" accepts on the sockets of {}, too", narrower.name,
              narrower.address.text());
    places.emplace(proto::identity(narrower.key), wanted_.size());
    wanted_.push_back(std::move(narrower));
  }
}

void Server::start_workers() {
  give_up_capabilities();
  if (access_logs_) access_logs_->start();
  workers_->start();
}

void Server::warm_up(Done done) { workers_->clusters().warm_up(std::move(done)); }
void Server::hurry() { workers_->clusters().hurry(); }

os::Result<void> Server::serve(Done done) {
  if (const auto listening = sockets_.listen(wanted_); !listening) {
    return std::unexpected(listening.error());
  }
  if (admin_) {
    for (const WantedSockets& wanted : wanted_) {
      if (wanted.listener != config_.listeners.size()) continue;
      for (const ListeningSocket* socket : sockets_.of(wanted.key)) {
        admin_->accept_on(socket->fd.get());
      }
    }
    admin_->set_ready(true);
  }
  workers_->clusters().lead();
  workers_->accept_on(select({}, Select::NotAmong), std::move(done));
  return {};
}

void Server::pause(const std::vector<proto::SocketKey>& shared, Done done) {
  workers_->clusters().rest();
  if (admin_among(shared)) admin_->release();
  workers_->release(select(shared, Select::Among), std::move(done));
}

void Server::set_drain(std::chrono::milliseconds time, DrainStrategy strategy) {
  workers_->drain(time, strategy);
}

void Server::drain(const std::vector<proto::SocketKey>& kept, Done done) {
  workers_->clusters().rest();
  if (admin_) admin_->set_ready(false);
  if (admin_) admin_->release();
  // An address is closed as soon as nobody accepts on it any more, however long others take: who
  // came in between would be reset.
  const auto left = std::make_shared<std::size_t>(1);
  const auto closes = [this, left, done = std::move(done)](std::vector<proto::SocketKey> keys) {
    return [this, left, done, keys = std::move(keys)] {
      for (const proto::SocketKey& key : keys) sockets_.close(key);
      if (--*left == 0) done();
    };
  };
  workers_->release(select(kept, Select::Among), closes(kept));
  const std::set<std::string> among = identities(kept);
  for (const WantedSockets& wanted : wanted_) {
    if (wanted.listener == config_.listeners.size()) {
      sockets_.close(wanted.key);
    } else if (!among.contains(proto::identity(wanted.key))) {
      ++*left;
      workers_->retire(select({wanted.key}, Select::Among), closes({wanted.key}));
    }
  }
}

std::vector<os::UniqueFd> Server::depart(std::size_t their_workers) {
  std::vector<os::UniqueFd> here, there;
  for (std::size_t i = 0; i < channels_between(workers_->size(), their_workers); ++i) {
    auto ends = proto::make_pair();
    if (!ends) {
      log::warning("connections stay where they are: {}", ends.error().text());
      return {};
    }
    here.push_back(std::move(ends->first));
    there.push_back(std::move(ends->second));
  }
  workers_->depart(std::move(here));
  return there;
}

std::vector<SessionChannel> Server::lend_sessions(const std::vector<proto::SocketKey>& paused,
                                                  std::size_t their_workers) {
  // The kernel gives a client's datagrams to one socket, and that is served by one worker in each
  // generation: sessions go from the one to the other.
  std::map<std::pair<std::size_t, std::size_t>, std::vector<WorkerSocket>> routes;
  for (const WorkerSocket& socket : select(paused, Select::Among)) {
    if (config_.listeners[socket.listener].protocol != Protocol::Udp) continue;
    routes[{socket.index % workers_->size(), socket.index % their_workers}].push_back(socket);
  }
  std::vector<SessionChannel> channels;
  for (const auto& [route, sockets] : routes) {
    auto ends = proto::make_pair();
    if (!ends) {
      log::warning("UDP sessions stay where they are: {}", ends.error().text());
      break;
    }
    workers_->lend_sessions(std::move(ends->first), sockets);
    channels.push_back({static_cast<std::uint32_t>(route.second), std::move(ends->second)});
  }
  return channels;
}

void Server::borrow_sessions(std::vector<SessionChannel> channels) {
  std::vector<std::vector<os::UniqueFd>> by_worker(workers_->size());
  for (SessionChannel& channel : channels) {
    by_worker[channel.worker % by_worker.size()].push_back(std::move(channel.fd));
  }
  workers_->borrow_sessions(std::move(by_worker));
}

void Server::welcome(std::vector<os::UniqueFd> channels, const os::UniqueFd& old_process) {
  workers_->welcome(std::move(channels), old_process);
}

// Asked again once nothing can arrive: what was accepted in between is waited for.
void Server::when_empty(Done empty) {
  workers_->when_empty([this, empty = std::move(empty)] {
    workers_->refuse_arrivals([this, empty] { workers_->when_empty(empty); });
  });
}
void Server::cut_connections(Done done) { workers_->cut_connections(std::move(done)); }
void Server::ping(Done done) { workers_->ping(std::move(done)); }
std::uint64_t Server::connections() const { return workers_->connections(); }

std::vector<WorkerSocket> Server::select(const std::vector<proto::SocketKey>& keys,
                                         Select mode) const {
  const std::set<std::string> among = identities(keys);
  std::vector<WorkerSocket> selected;
  for (const WantedSockets& wanted : wanted_) {
    if (wanted.listener == config_.listeners.size()) continue;
    if (among.contains(proto::identity(wanted.key)) != (mode == Select::Among)) continue;
    const std::vector<const ListeningSocket*> sockets = sockets_.of(wanted.key);
    for (const ListeningSocket* socket : sockets) {
      selected.push_back({.listener = wanted.listener,
                          .index = socket->index,
                          .of = wanted.address.is_unix() ? 1 : sockets.size(),
                          .fd = socket->fd.get()});
    }
  }
  return selected;
}

bool Server::admin_among(const std::vector<proto::SocketKey>& keys) const {
  return admin_ && identities(keys).contains(proto::identity(wanted_by_admin().key));
}

}  // namespace baton::proxy

#include "proxy/upstream/health_checker.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "proxy/filter/proxy_protocol/proxy_header_writer.h"
#include "proxy/upstream/hash_key.h"
#include "proxy/upstream/local_shortage.h"
#include "shared/os/error.h"
#include "shared/os/log.h"
#include "shared/os/random_seed.h"
#include "shared/os/seconds.h"

namespace baton::proxy {
namespace {

constexpr std::size_t kLongestStatusLine = 256;
// All heads of interim responses together.
constexpr std::size_t kMostInterimBytes = std::size_t{16} * 1024;
constexpr double kShortagePauseSeconds = 1.0;
constexpr std::size_t kStatusEnd = 12;  // "HTTP/1.1 200"

// RFC 9112, section 4: HTTP-version SP status-code SP. Nothing: not the beginning of an answer.
std::optional<std::uint32_t> status_of(std::string_view line) {
  if (!line.starts_with("HTTP/1.") || line.size() < kStatusEnd || line[8] != ' ') {
    return std::nullopt;
  }
  if (line.size() > kStatusEnd && line[kStatusEnd] != ' ' && line[kStatusEnd] != '\r') {
    return std::nullopt;
  }
  std::uint32_t status = 0;
  const auto [end, error] = std::from_chars(line.data() + 9, line.data() + kStatusEnd, status);
  if (error != std::errc() || end != line.data() + kStatusEnd) return std::nullopt;
  return status;
}

// Of everything that decides what a healthy endpoint is; how often it is asked does not.
std::uint32_t hash_of_check(const HealthChecker::Options& options) {
  const HealthCheckConfig& config = options.config;
  std::string text = "tcp";
  if (config.type == HealthCheckConfig::Type::Http) {
    text = config.path + '\n' + config.host + '\n' + std::to_string(config.expected_status);
    if (options.send_proxy_protocol) text += "\nPROXY";
  }
  const std::uint64_t hash = hash_of_text(text);
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(hash ^ hash >> 32U));
}

}  // namespace

HealthChecker::HealthChecker(ev::loop_ref loop, const Options& options,
                             std::shared_ptr<const Endpoint> endpoint)
    : loop_(loop),
      options_(options),
      endpoint_(std::move(endpoint)),
      check_(hash_of_check(options)),
      random_(os::random_seed()),
      watcher_(loop),
      timer_(loop) {
  watcher_.set<HealthChecker, &HealthChecker::on_event>(this);
  timer_.set<HealthChecker, &HealthChecker::on_timer>(this);
  if (is_others_verdict()) stand_apart(Health::Unknown);
}

bool HealthChecker::is_others_verdict() const {
  EndpointState& state = *endpoint_->state;
  if (state.apart() || state.health() == Health::Unknown) return false;
  const std::uint32_t check = state.slot().check.load(std::memory_order_relaxed);
  return check != 0 && check != check_;
}

void HealthChecker::stand_apart(Health own) {
  endpoint_->state->set_apart(own);
  options_.shared.announce(*endpoint_->state);
}

void HealthChecker::start(Role role) {
  role_ = role;
  overruled_ = false;
  EndpointState& state = *endpoint_->state;
  if (is_others_verdict() || (role == Role::WarmUp && !state.apart())) {
    stand_apart(Health::Unknown);
  }
  if (role == Role::InCharge && state.apart()) take_over();
  if (state.health() == Health::Unknown) {
    begin();
    return;
  }
  std::uniform_real_distribution<double> part(0.0, 1.0);
  wait(os::seconds(options_.config.interval) * part(random_));
}

// What it has found out by itself counts for all from now on, unless the one before has found out
// something by the same check meanwhile: that one counts on from there.
void HealthChecker::take_over() {
  EndpointState& state = *endpoint_->state;
  const region::EndpointSlot& slot = state.slot();
  if (slot.check.load(std::memory_order_relaxed) == check_ &&
      slot.health.load(std::memory_order_relaxed) != static_cast<std::uint32_t>(Health::Unknown)) {
    state.rejoin();
    options_.shared.announce(state);
  } else if (state.health() != Health::Unknown) {
    share(state.health());
  }
}

void HealthChecker::stop() {
  give_check_up();
  if (role_ == Role::WarmUp || !endpoint_->state->apart()) return;
  endpoint_->state->rejoin();
  options_.shared.announce(*endpoint_->state);
}

void HealthChecker::give_check_up() {
  watcher_.stop();
  timer_.stop();
  socket_.reset();
  checking_ = false;
}

void HealthChecker::wait(double time) {
  timer_.stop();
  // A timer of libev counts from the beginning of the iteration; others may have been slow in it.
  ev_now_update(loop_);
  timer_.start(time);
}

void HealthChecker::begin() {
  checking_ = true;
  connected_ = seen_late_ = false;
  answer_.clear();
  interim_bytes_ = 0;
  wait(os::seconds(options_.config.timeout));
  const os::SocketAddress& address = endpoint_->address;
  socket_.reset(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.valid()) return give_up(errno);
  if (::connect(socket_.get(), address.data(), address.length()) != 0 && errno != EINPROGRESS) {
    return give_up(errno);
  }
  watcher_.start(socket_.get(), ev::WRITE);
}

// A shortage of our own says nothing about the endpoint. A full queue of a unix socket does.
void HealthChecker::give_up(int error) {
  if (!is_local_shortage(error, endpoint_->address) ||
      (error == EAGAIN && endpoint_->address.is_unix())) {
    return finish(CheckResult::Failure, os::error_text(error));
  }
  give_check_up();
  wait(std::min(os::seconds(options_.config.interval), kShortagePauseSeconds));
}

void HealthChecker::on_event(ev::io&, int) noexcept {
  if (connected_) return read_answer();
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) return finish(CheckResult::Failure, os::error_text(error));
  connected_ = true;
  if (options_.config.type == HealthCheckConfig::Type::Tcp) return finish(CheckResult::Success, "");
  ask();
}

void HealthChecker::ask() {
  const HealthCheckConfig& config = options_.config;
  const std::string host = !config.host.empty()           ? config.host
                           : endpoint_->address.is_unix() ? "localhost"
                                                          : endpoint_->address.text();
  Buffer request;
  if (options_.send_proxy_protocol) write_local_proxy_v2(request);
  request.append("GET " + config.path + " HTTP/1.1\r\nHost: " + host +
                 "\r\nUser-Agent: baton-health-check\r\nConnection: close\r\n\r\n");
  // A fresh socket's buffer takes it whole.
  const ssize_t sent = ::send(socket_.get(), request.view().data(), request.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request.size())) {
    return finish(CheckResult::Failure, "cannot send the request");
  }
  watcher_.stop();
  watcher_.start(socket_.get(), ev::READ);
}

void HealthChecker::read_answer() {
  char room[kLongestStatusLine];
  const ssize_t count = ::recv(socket_.get(), room, sizeof room, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return finish(CheckResult::Failure, os::error_text(errno));
  if (count == 0) return finish(CheckResult::Failure, "closed without an answer");
  answer_.append(room, static_cast<std::size_t>(count));
  while (drop_interim_head()) {
  }
  if (answer_.size() + interim_bytes_ > kMostInterimBytes) {
    return finish(CheckResult::Failure, "too many interim responses");
  }
  const std::size_t end = answer_.find('\n');
  if (end == std::string::npos && answer_.size() < kLongestStatusLine) return;
  const auto status = status_of(answer_);
  if (!status) return finish(CheckResult::Failure, "the answer is not HTTP");
  if (is_interim(*status)) return;  // the rest of its head is still to come
  const bool good = *status == options_.config.expected_status;
  finish(good ? CheckResult::Success : CheckResult::Failure, "status " + std::to_string(*status));
}

// RFC 9110, section 15.2: another head follows. 101 ends HTTP, and nobody asked for that.
bool HealthChecker::is_interim(std::uint32_t status) const {
  return status >= 100 && status < 200 && status != 101 &&
         status != options_.config.expected_status;
}

// True: the answer began with a whole one.
bool HealthChecker::drop_interim_head() {
  if (!answer_.contains('\n')) return false;
  const auto status = status_of(answer_);
  if (!status || !is_interim(*status)) return false;
  constexpr std::string_view kEnd = "\r\n\r\n";
  const std::size_t end = answer_.find(kEnd);
  if (end == std::string::npos) return false;
  interim_bytes_ += end + kEnd.size();
  answer_.erase(0, end + kEnd.size());
  return true;
}

// The loop tells of timers first: what came in time, while this process was kept from running, has
// not been seen yet. What is still missing then has as long again, once.
void HealthChecker::on_timer(ev::timer&, int) noexcept {
  if (!checking_) return begin();
  const auto what = static_cast<short>(connected_ ? POLLIN : POLLOUT);
  pollfd ready{.fd = socket_.get(), .events = what, .revents = 0};
  if (std::exchange(seen_late_, true) || ::poll(&ready, 1, 0) != 1) {
    return finish(CheckResult::Failure, "timed out");
  }
  wait(os::seconds(options_.config.timeout));
  on_event(watcher_, 0);
}

// What the endpoint's health becomes. Another generation may count at the same time: none is lost.
HealthChecker::Health HealthChecker::count(Health before, CheckResult result) {
  std::atomic<std::uint32_t>& shared = endpoint_->state->slot().streak;
  std::uint32_t streak = shared.load(std::memory_order_relaxed);
  for (;;) {
    const HealthRecord record{.health = before, .streak = streak};
    const auto [health, counted] = record.after(result, options_.config);
    if (counted == streak) return health;
    if (shared.compare_exchange_weak(streak, counted, std::memory_order_relaxed)) return health;
  }
}

// Where all generations see it, and this one, too.
void HealthChecker::share(Health health) {
  EndpointState& state = *endpoint_->state;
  region::EndpointSlot& slot = state.slot();
  const auto before = static_cast<Health>(slot.health.load(std::memory_order_relaxed));
  if (health == Health::Healthy && before == Health::Unhealthy) {
    slot.available_since_ns.store(monotonic_ns(), std::memory_order_relaxed);
  }
  if (state.apart()) slot.streak.store(0, std::memory_order_relaxed);
  slot.check.store(check_, std::memory_order_relaxed);
  slot.health.store(static_cast<std::uint32_t>(health), std::memory_order_relaxed);
  state.rejoin();
  options_.shared.announce(state);
}

void HealthChecker::judge(CheckResult result, const std::string& reason) {
  EndpointState& state = *endpoint_->state;
  if (is_others_verdict()) stand_apart(Health::Unknown);
  const bool apart = state.apart();
  const Health before = state.health();
  const Health after = apart ? HealthRecord{.health = before}.after(result, options_.config).health
                             : count(before, result);
  if (role_ == Role::WarmUp) {
    stand_apart(after);
  } else {
    const bool said = state.slot().check.load(std::memory_order_relaxed) == check_;
    if (after != before || apart || !said) share(after);
  }
  if (after == before) return;
  if (after == Health::Unhealthy) {
    log::warning("cluster {}: {} is unhealthy: {}", options_.cluster, endpoint_->address.text(),
                 reason);
  } else {
    log::info("cluster {}: {} is healthy", options_.cluster, endpoint_->address.text());
  }
}

void HealthChecker::finish(CheckResult result, const std::string& reason) {
  give_check_up();
  // A successor that checks something else may be taking over at this moment; by the next check it
  // has, and this one is stopped, or it has given up.
  overruled_ = role_ == Role::InCharge && !overruled_ && is_others_verdict();
  if (!overruled_) judge(result, reason);
  std::uniform_real_distribution<double> jitter(0.9, 1.1);
  wait(os::seconds(options_.config.interval) * jitter(random_));
  options_.sink.on_checked(*this, result);
}

}  // namespace baton::proxy

#include "proxy/worker/worker_pool.h"

#include <fcntl.h>

#include <atomic>
#include <utility>

#include "proxy/worker/worker.h"
#include "shared/os/check.h"

namespace baton::proxy {
namespace {

// Runs `done` on the main loop once all of `parts` have arrived, if the pool still exists by then.
class Barrier {
 public:
  Barrier(std::size_t parts, EventLoop& main_loop, std::weak_ptr<const void> pool,
          WorkerPool::Done done)
      : left_(parts), main_loop_(main_loop), pool_(std::move(pool)), done_(std::move(done)) {}

  // Any thread.
  void arrive() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1 || !done_) return;
    main_loop_.post([pool = std::move(pool_), done = std::move(done_)] {
      if (!pool.expired()) done();
    });
  }

 private:
  std::atomic<std::size_t> left_;
  EventLoop& main_loop_;
  std::weak_ptr<const void> pool_;
  WorkerPool::Done done_;
};

}  // namespace

struct WorkerPool::Impl {
  explicit Impl(WorkerPoolOptions pool_options);
  ~Impl();

  std::shared_ptr<Barrier> barrier(std::size_t parts, Done done);
  // Runs `task` on every worker's thread, then `done` on the main loop.
  void on_each_worker(const std::function<void(Worker&)>& task, Done done);
  // The sockets that a worker serves.
  std::vector<WorkerSocket> share_of(std::size_t worker,
                                     const std::vector<WorkerSocket>& sockets) const;
  std::uint64_t connections() const;
  void check_empty();

  WorkerPoolOptions options;
  std::vector<std::unique_ptr<EventLoop>> loops;
  std::vector<ListenerMetrics> listener_metrics;
  std::vector<ConnectionLimit> limits;
  std::unique_ptr<ClusterManager> clusters;
  std::vector<std::unique_ptr<Worker>> workers;  // before what they read goes
  std::vector<Done> when_empty;
  // Expires with the pool: what workers have posted to the main loop outlives it.
  std::shared_ptr<const void> alive = std::make_shared<char>();
};

WorkerPool::Impl::Impl(WorkerPoolOptions pool_options) : options(std::move(pool_options)) {
  const Config& config = *options.config;
  BATON_CHECK(config.workers > 0);
  std::vector<EventLoop*> borrowed;
  for (std::uint32_t i = 0; i < config.workers; ++i) {
    std::unique_ptr<SendRing> ring;
    if (i < options.rings.size()) ring = std::move(options.rings[i]);
    borrowed.push_back(loops.emplace_back(std::make_unique<EventLoop>(std::move(ring))).get());
  }
  options.rings.clear();
  limits = std::vector<ConnectionLimit>(config.listeners.size());
  for (const ListenerConfig& listener : config.listeners) {
    listener_metrics.push_back(ListenerMetrics::resolve(*options.stats, listener.name));
  }
  clusters =
      std::make_unique<ClusterManager>(ClusterManager::Options{.main_loop = options.main_loop,
                                                               .config = options.config,
                                                               .stats = options.stats,
                                                               .workers = borrowed});
  for (std::uint32_t i = 0; i < config.workers; ++i) {
    workers.push_back(std::make_unique<Worker>(Worker::Options{.index = i,
                                                               .loop = *loops[i],
                                                               .pool = options,
                                                               .listeners = listener_metrics,
                                                               .limits = limits,
                                                               .clusters = *clusters}));
  }
}

// Workers first: no thread runs when the rest goes. Then what was posted to them, which may hold
// endpoints; they must go before the manager that knows their state.
WorkerPool::Impl::~Impl() {
  workers.clear();
  loops.clear();
}

std::shared_ptr<Barrier> WorkerPool::Impl::barrier(std::size_t parts, Done done) {
  return std::make_shared<Barrier>(parts, *options.main_loop, alive, std::move(done));
}

void WorkerPool::Impl::on_each_worker(const std::function<void(Worker&)>& task, Done done) {
  const std::shared_ptr<Barrier> all = barrier(workers.size(), std::move(done));
  for (const auto& worker : workers) {
    worker->post([task, all, self = worker.get()] {
      task(*self);
      all->arrive();
    });
  }
}

std::vector<WorkerSocket> WorkerPool::Impl::share_of(
    std::size_t worker, const std::vector<WorkerSocket>& sockets) const {
  const std::vector<ListenerConfig>& listeners = options.config->listeners;
  std::vector<WorkerSocket> share;
  for (const WorkerSocket& socket : sockets) {
    const bool shared =
        listeners[socket.listener].protocol != Protocol::Udp && socket.of < workers.size();
    if (shared || socket.index % workers.size() == worker) share.push_back(socket);
  }
  return share;
}

std::uint64_t WorkerPool::Impl::connections() const {
  std::uint64_t sum = 0;
  for (const auto& worker : workers) sum += worker->connections();
  return sum;
}

void WorkerPool::Impl::check_empty() {
  if (when_empty.empty() || connections() != 0) return;
  for (const Done& empty : std::exchange(when_empty, {})) empty();
}

WorkerPool::WorkerPool(WorkerPoolOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

WorkerPool::~WorkerPool() = default;

ClusterManager& WorkerPool::clusters() { return *impl_->clusters; }

std::size_t WorkerPool::size() const { return impl_->workers.size(); }

void WorkerPool::start() {
  for (const auto& worker : impl_->workers) worker->start();
}

void WorkerPool::accept_on(std::vector<WorkerSocket> sockets, Done done) {
  const std::shared_ptr<Barrier> all = impl_->barrier(size(), std::move(done));
  for (std::size_t i = 0; i < size(); ++i) {
    Worker* const worker = impl_->workers[i].get();
    worker->post([worker, all, share = impl_->share_of(i, sockets)] {
      for (const WorkerSocket& socket : share) {
        worker->listener(socket.listener).accept_on(socket.fd);
      }
      all->arrive();
    });
  }
}

// Each by all workers: an address may have got more sockets since they were shared out.
void WorkerPool::release(std::vector<WorkerSocket> sockets, Done done) {
  const auto shared = std::make_shared<const std::vector<WorkerSocket>>(std::move(sockets));
  impl_->on_each_worker(
      [shared](Worker& worker) {
        for (const WorkerSocket& socket : *shared) {
          worker.listener(socket.listener).release(socket.fd);
        }
      },
      std::move(done));
}

void WorkerPool::retire(std::vector<WorkerSocket> sockets, Done done) {
  release(sockets, nullptr);
  std::vector<std::vector<WorkerSocket>> shares;
  // Each worker's turn counts, too, whatever its share: what was posted before is done by then.
  std::size_t parts = size();
  for (std::size_t i = 0; i < size(); ++i) {
    parts += shares.emplace_back(impl_->share_of(i, sockets)).size();
  }
  const std::shared_ptr<Barrier> all = impl_->barrier(parts, std::move(done));
  for (std::size_t i = 0; i < size(); ++i) {
    Worker* const worker = impl_->workers[i].get();
    worker->post([worker, all, share = std::move(shares[i])] {
      for (const WorkerSocket& socket : share) {
        worker->listener(socket.listener).retire(socket.fd, [all] { all->arrive(); });
      }
      all->arrive();
    });
  }
}

void WorkerPool::when_empty(Done empty) {
  impl_->when_empty.push_back(std::move(empty));
  Impl* const impl = impl_.get();
  const std::weak_ptr<const void> alive = impl->alive;
  // Called on a worker's thread each time its last connection goes; the sum is looked at here.
  const auto report = [impl, alive] {
    impl->options.main_loop->post([impl, alive] {
      if (!alive.expired()) impl->check_empty();
    });
  };
  impl->on_each_worker([report](Worker& worker) { worker.held().watch_empty(report); }, nullptr);
}

void WorkerPool::drain(std::chrono::milliseconds time, DrainStrategy strategy) {
  impl_->on_each_worker([time, strategy](Worker& worker) { worker.drain(time, strategy); },
                        nullptr);
}

void WorkerPool::depart(std::vector<os::UniqueFd> channels) {
  for (std::size_t i = 0; i < channels.size() && i < size(); ++i) {
    Worker* const worker = impl_->workers[i].get();
    const auto its = std::make_shared<std::vector<os::UniqueFd>>();
    for (std::size_t j = i; j < channels.size(); j += size())
      its->push_back(std::move(channels[j]));
    worker->post([worker, its] { worker->depart(std::move(*its)); });
  }
}

void WorkerPool::finish_moving(Done done) {
  const std::shared_ptr<Barrier> all = impl_->barrier(size(), std::move(done));
  for (const auto& worker : impl_->workers) {
    worker->post([all, self = worker.get()] { self->finish_moving([all] { all->arrive(); }); });
  }
}

void WorkerPool::when_moved(Done done) {
  const std::shared_ptr<Barrier> all = impl_->barrier(2 * size(), std::move(done));
  for (const auto& worker : impl_->workers) {
    worker->post([all, self = worker.get()] {
      self->finish_moving([all] { all->arrive(); });
      self->loans().when_settled([all] { all->arrive(); });
    });
  }
}

void WorkerPool::welcome(std::vector<os::UniqueFd> channels, const os::UniqueFd& old_process) {
  for (std::size_t i = 0; i < channels.size(); ++i) {
    Worker* const worker = impl_->workers[i % impl_->workers.size()].get();
    const auto channel = std::make_shared<os::UniqueFd>(std::move(channels[i]));
    const auto process = std::make_shared<os::UniqueFd>(
        old_process.valid() ? ::fcntl(old_process.get(), F_DUPFD_CLOEXEC, 0) : -1);
    worker->post(
        [worker, channel, process] { worker->welcome(std::move(*channel), std::move(*process)); });
  }
}

void WorkerPool::lend_sessions(os::UniqueFd channel, const std::vector<WorkerSocket>& sockets) {
  BATON_CHECK(!sockets.empty());
  Worker* const worker = impl_->workers[sockets.front().index % size()].get();
  std::vector<int> fds;
  for (const WorkerSocket& socket : sockets) fds.push_back(socket.fd);
  const auto shared = std::make_shared<os::UniqueFd>(std::move(channel));
  worker->post([worker, shared, fds] { worker->loans().lend(std::move(*shared), fds); });
}

void WorkerPool::commit_sessions() {
  impl_->on_each_worker([](Worker& worker) { worker.loans().commit(); }, nullptr);
}

void WorkerPool::take_sessions_back() {
  impl_->on_each_worker([](Worker& worker) { worker.loans().take_back(); }, nullptr);
}

void WorkerPool::hold_datagrams() {
  impl_->on_each_worker([](Worker& worker) { worker.loans().hold(); }, nullptr);
}

void WorkerPool::borrow_sessions(std::vector<std::vector<os::UniqueFd>> channels) {
  channels.resize(size());
  for (std::size_t i = 0; i < size(); ++i) {
    Worker* const worker = impl_->workers[i].get();
    const auto shared = std::make_shared<std::vector<os::UniqueFd>>(std::move(channels[i]));
    worker->post([worker, shared] { worker->loans().borrow(std::move(*shared)); });
  }
}

void WorkerPool::read_datagrams() {
  impl_->on_each_worker([](Worker& worker) { worker.loans().read(); }, nullptr);
}

void WorkerPool::refuse_arrivals(Done done) {
  impl_->on_each_worker([](Worker& worker) { worker.refuse_arrivals(); }, std::move(done));
}

void WorkerPool::cut_connections(Done done) {
  impl_->on_each_worker([](Worker& worker) { worker.cut_connections(); }, std::move(done));
}

void WorkerPool::ping(Done done) {
  impl_->on_each_worker([](Worker&) {}, std::move(done));
}

std::uint64_t WorkerPool::connections() const { return impl_->connections(); }

}  // namespace baton::proxy

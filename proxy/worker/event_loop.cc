#include "proxy/worker/event_loop.h"

#include <utility>

#include "shared/os/check.h"
#include "shared/os/loop_backend.h"

namespace baton::proxy {
namespace {

struct ev_loop* make_loop() {
  // The environment must not choose another backend; nothing here uses periodic watchers, so the
  // loop needs no timerfd.
  struct ev_loop* loop =
      ev_loop_new(static_cast<unsigned>(EVBACKEND_EPOLL) | EVFLAG_NOENV | EVFLAG_NOTIMERFD);
  if (loop == nullptr) throw ev::bad_loop();
  return loop;
}

}  // namespace

EventLoop::EventLoop() : loop_(make_loop()), epoll_fd_(os::loop_epoll_fd(loop_)), wake_(loop_) {
  ev_set_userdata(loop_, this);
  wake_.set<EventLoop, &EventLoop::run_posted>(this);
  wake_.start();
}

EventLoop::~EventLoop() {
  wake_.stop();
  ev_loop_destroy(loop_);
}

void EventLoop::run() { ref().run(); }

void EventLoop::stop() {
  post([this] { ref().break_loop(ev::ALL); });
}

void EventLoop::post(Task task) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (first) wake_.send();
}

void EventLoop::run_posted() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (const Task& task : tasks) task();
}

void EventLoop::forget_fd(ev::loop_ref loop, int fd) {
  const auto* self = static_cast<const EventLoop*>(ev_userdata(loop));
  BATON_CHECK(self != nullptr);
  os::forget_fd(self->epoll_fd_, fd);
}

}  // namespace baton::proxy

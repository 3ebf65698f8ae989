#include "proxy/worker/event_loop.h"

#include <utility>

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

EventLoop::EventLoop(std::unique_ptr<SendRing> ring)
    : loop_(make_loop()),
      backend_(loop_.get()),
      wake_(loop_.get()),
      send_queue_(std::move(ring)),
      begin_(loop_.get()),
      end_(loop_.get()) {
  ev_set_userdata(loop_.get(), this);
  wake_.set<EventLoop, &EventLoop::run_posted>(this);
  wake_.start();
  begin_.set<SendQueue, &SendQueue::open>(&send_queue_);
  end_.set<SendQueue, &SendQueue::close>(&send_queue_);
  begin_.priority = EV_MAXPRI;
  end_.priority = EV_MINPRI;
  for (ev::check* const each : {&begin_, &end_}) {
    each->start();
    ref().unref();  // they do not keep the loop running
  }
}

EventLoop::~EventLoop() {
  ref().ref();
  ref().ref();
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

void EventLoop::forget_fd(ev::loop_ref loop, int fd) { of(loop).backend_.forget(fd); }

}  // namespace baton::proxy

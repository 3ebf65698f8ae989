#include "shared/os/loop_backend.h"

#include <sys/epoll.h>

#include <cerrno>

namespace baton::os {

int loop_epoll_fd(struct ev_loop* loop) {
  if (ev_backend(loop) != EVBACKEND_EPOLL) return -1;
  struct ev_loop* scratch =
      ev_loop_new(static_cast<unsigned>(EVBACKEND_SELECT) | static_cast<unsigned>(EVFLAG_NOENV));
  if (scratch == nullptr) return -1;
  ev_embed embed;
  ev_embed_init(&embed, nullptr, loop);
  ev_embed_start(scratch, &embed);
  const int fd = embed.io.fd;
  ev_embed_stop(scratch, &embed);
  ev_loop_destroy(scratch);
  return fd;
}

void forget_fd(int epoll_fd, int fd) {
  if (epoll_fd < 0 || fd < 0) return;
  const int saved = errno;
  ::epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, nullptr);  // ENOENT: it was never polled
  errno = saved;
}

LoopBackend::LoopBackend(ev::loop_ref loop)
    : epoll_fd_(loop_epoll_fd(loop)), rebuild_(loop), rebuilt_(loop) {
  rebuild_.set<LoopBackend, &LoopBackend::on_rebuild>(this);
  rebuilt_.set<LoopBackend, &LoopBackend::on_rebuilt>(this);
  rebuild_.start();
  loop.unref();
}

LoopBackend::~LoopBackend() {
  rebuild_.loop.ref();
  if (rebuilt_.is_active()) rebuilt_.loop.ref();
}

void LoopBackend::forget(int fd) {
  if (rebuilds_) epoll_fd_ = loop_epoll_fd(rebuild_.loop);
  forget_fd(epoll_fd_, fd);
}

void LoopBackend::on_rebuild() {
  rebuilds_ = true;
  if (rebuilt_.is_active()) return;
  rebuilt_.start();
  rebuilt_.loop.unref();
}

void LoopBackend::on_rebuilt() {
  rebuilt_.loop.ref();
  rebuilt_.stop();
  epoll_fd_ = loop_epoll_fd(rebuild_.loop);
  rebuilds_ = false;
}

}  // namespace baton::os

// The epoll descriptor behind a libev loop, and taking registrations out of it.
// libev forgets a stopped watcher lazily and relies on close() to end the registration, which does
// not happen while another process holds the same open file: epoll(7), questions and answers, Q6.
// libev 4.33 has no public call for the descriptor; it is read off an ev_embed watcher, which libev
// points at the embedded loop's backend.
// Thread: the loop's. Not valid any more after ev_loop_fork().
#pragma once

struct ev_loop;

namespace baton::os {

// -1 when the loop does not run on epoll. Builds a scratch loop: ask once and keep the answer.
int loop_epoll_fd(struct ev_loop* loop);

// Ends the registration of `fd`, if there is one. Call it after its watchers have been stopped and
// before it is closed or leaves; -1 for `epoll_fd` does nothing. errno is preserved.
void forget_fd(int epoll_fd, int fd);

}  // namespace baton::os

#include "proxy/network/send_ring.h"

#include <liburing.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>

#include "shared/os/check.h"
#include "shared/os/log.h"

namespace baton::proxy {
namespace {

std::unexpected<os::Error> failed(const char* what, int result) {
  errno = -result;
  return os::errno_error(what);
}

}  // namespace

SendRing::SendRing(std::unique_ptr<io_uring> ring) : ring_(std::move(ring)) {}

SendRing::~SendRing() { ::io_uring_queue_exit(ring_.get()); }

os::Result<std::unique_ptr<SendRing>> SendRing::make() {
  auto ring = std::make_unique<io_uring>();
  io_uring_params params{};
  params.flags = IORING_SETUP_R_DISABLED;  // until it is restricted
  if (const int made = ::io_uring_queue_init_params(kMostSends, ring.get(), &params); made < 0) {
    return failed("io_uring_setup", made);
  }
  std::unique_ptr<SendRing> owner(new SendRing(std::move(ring)));
  io_uring_restriction only_sends{};
  only_sends.opcode = IORING_RESTRICTION_SQE_OP;
  only_sends.sqe_op = IORING_OP_SEND;
  if (const int done = ::io_uring_register_restrictions(owner->ring_.get(), &only_sends, 1);
      done < 0) {
    return failed("restrict an io_uring", done);
  }
  if (const int done = ::io_uring_enable_rings(owner->ring_.get()); done < 0) {
    return failed("enable an io_uring", done);
  }
  return owner;
}

// MSG_DONTWAIT: done, or refused, when the call that submits returns. Without it the kernel would
// wait for room, and send in an order of its own.
std::size_t SendRing::send(std::span<Send> row) {
  for (Send& send : row) {
    io_uring_sqe* const entry = ::io_uring_get_sqe(ring_.get());
    BATON_CHECK(entry != nullptr);
    ::io_uring_prep_send(entry, send.fd, send.bytes.data(), send.bytes.size(),
                         MSG_NOSIGNAL | MSG_DONTWAIT);
    ::io_uring_sqe_set_data(entry, &send);
  }
  const int submitted = ::io_uring_submit(ring_.get());
  const std::size_t tried = submitted < 0 ? 0 : static_cast<std::size_t>(submitted);
  if (tried < row.size()) {
    log::warning("a worker goes on without its io_uring, each send is a system call: {}",
                 os::error_text(submitted < 0 ? -submitted : EAGAIN));
  }
  for (std::size_t i = 0; i < tried; ++i) {
    io_uring_cqe* done = nullptr;
    int got = 0;
    do {
      got = ::io_uring_wait_cqe(ring_.get(), &done);
    } while (got == -EINTR);
    BATON_CHECK(got == 0);  // what has been submitted is answered
    static_cast<Send*>(::io_uring_cqe_get_data(done))->result = done->res;
    ::io_uring_cqe_seen(ring_.get(), done);
  }
  return tried;
}

SendRings make_send_rings(std::size_t count) {
  SendRings rings;
  while (rings.size() < count) {
    auto ring = SendRing::make();
    if (!ring) {
      log::info("{} io_uring for {} CPUs, without one each send is a system call: {}",
                rings.empty() ? "no" : std::to_string(rings.size()), count, ring.error().text());
      break;
    }
    rings.push_back(std::move(*ring));
  }
  return rings;
}

}  // namespace baton::proxy

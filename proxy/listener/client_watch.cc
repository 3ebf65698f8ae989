#include "proxy/listener/client_watch.h"

#include <poll.h>

#include "proxy/listener/session.h"

namespace baton::proxy {
namespace {

constexpr double kLookSeconds = 1.0;

}  // namespace

ClientWatch::ClientWatch(ev::loop_ref loop) : timer_(loop) {
  timer_.set<ClientWatch, &ClientWatch::look>(this);
}

void ClientWatch::add(Session& session) {
  if (session.client_watched()) return;
  session.set_client_watched(true);
  sessions_.insert(&session);
  if (!timer_.is_active()) timer_.start(kLookSeconds, kLookSeconds);
}

void ClientWatch::remove(Session& session) {
  if (!session.client_watched()) return;
  session.set_client_watched(false);
  sessions_.erase(&session);
}

void ClientWatch::look(ev::timer&, int) {
  std::erase_if(sessions_, [](Session* session) {
    if (session->awaits_nothing()) return false;
    session->set_client_watched(false);
    return true;
  });
  // Each leaves by remove() when it closes.
  for (Session* session : gone()) session->client_gone();
  if (sessions_.empty()) timer_.stop();
}

// A reset is an error of the socket. A hang-up is none: what both sides had to say may still be
// waiting to be read.
std::vector<Session*> ClientWatch::gone() {
  std::vector<pollfd> polled;
  std::vector<Session*> gone(sessions_.begin(), sessions_.end());
  polled.reserve(gone.size());
  for (Session* session : gone) {
    polled.push_back({.fd = session->state().downstream.fd.get(), .events = 0, .revents = 0});
  }
  if (::poll(polled.data(), polled.size(), 0) <= 0) return {};
  std::size_t index = 0;
  std::erase_if(gone, [&](Session*) { return (polled[index++].revents & POLLERR) == 0; });
  return gone;
}

}  // namespace baton::proxy

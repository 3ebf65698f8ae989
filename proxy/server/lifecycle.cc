#include "proxy/server/lifecycle.h"

namespace baton::proxy {
namespace {

using State = GenerationState;
using Event = GenerationEvent;
using Action = GenerationAction;

GenerationStep starting(Event event) {
  switch (event) {
    case Event::Warmed:
      return {State::Ready, Action::None};
    case Event::Drain:
      return {State::Exited, Action::Exit};
    case Event::SupervisorLost:
      return {State::Exited, Action::Exit};
    case Event::Serve:
    case Event::Pause:
    case Event::Resume:
      return {State::Starting, Action::Refuse};
    case Event::Empty:
    case Event::DeadlinePassed:
    case Event::LeftAlone:
      return {State::Starting, Action::None};
  }
  return {State::Starting, Action::Refuse};
}

GenerationStep ready(Event event) {
  switch (event) {
    case Event::Serve:
      return {State::Serving, Action::StartAccepting};
    case Event::Drain:
      return {State::Exited, Action::Exit};
    case Event::SupervisorLost:
      return {State::Exited, Action::Exit};
    case Event::Pause:
    case Event::Resume:
      return {State::Ready, Action::Refuse};
    case Event::Warmed:
    case Event::Empty:
    case Event::DeadlinePassed:
    case Event::LeftAlone:
      return {State::Ready, Action::None};
  }
  return {State::Ready, Action::Refuse};
}

GenerationStep serving(Event event) {
  switch (event) {
    case Event::Pause:
      return {State::Paused, Action::PauseAccepting};
    // Sent when a reload failed before this generation was paused: it may own more sockets now.
    case Event::Resume:
      return {State::Serving, Action::ResumeAccepting};
    case Event::Drain:
      return {State::Draining, Action::BeginDrain};
    case Event::Serve:
      return {State::Serving, Action::Refuse};
    // Traffic matters more than being commanded: go on.
    case Event::SupervisorLost:
    case Event::Warmed:
    case Event::Empty:
    case Event::DeadlinePassed:
    case Event::LeftAlone:
      return {State::Serving, Action::None};
  }
  return {State::Serving, Action::Refuse};
}

GenerationStep paused(Event event) {
  switch (event) {
    case Event::Resume:
    // Nobody accepts, and nobody could give the order to.
    case Event::LeftAlone:
      return {State::Serving, Action::ResumeAccepting};
    case Event::Drain:
      return {State::Draining, Action::BeginDrain};
    // The next generation accepts, and nobody is left to call this one back.
    case Event::SupervisorLost:
      return {State::Draining, Action::BeginDrain};
    case Event::Serve:
    case Event::Pause:
      return {State::Paused, Action::Refuse};
    case Event::Warmed:
    case Event::Empty:
    case Event::DeadlinePassed:
      return {State::Paused, Action::None};
  }
  return {State::Paused, Action::Refuse};
}

GenerationStep draining(Event event) {
  switch (event) {
    case Event::Drain:
      return {State::Draining, Action::RetuneDrain};
    case Event::Empty:
      return {State::Exited, Action::Exit};
    case Event::DeadlinePassed:
      return {State::Exited, Action::CutAndExit};
    case Event::Serve:
    case Event::Pause:
    case Event::Resume:
      return {State::Draining, Action::Refuse};
    case Event::Warmed:
    case Event::SupervisorLost:
    case Event::LeftAlone:
      return {State::Draining, Action::None};
  }
  return {State::Draining, Action::Refuse};
}

}  // namespace

GenerationStep step(GenerationState state, GenerationEvent event) {
  switch (state) {
    case State::Starting:
      return starting(event);
    case State::Ready:
      return ready(event);
    case State::Serving:
      return serving(event);
    case State::Paused:
      return paused(event);
    case State::Draining:
      return draining(event);
    case State::Exited:
      return {State::Exited, Action::None};
  }
  return {state, Action::None};
}

std::string_view state_name(GenerationState state) {
  switch (state) {
    case State::Starting:
      return "starting";
    case State::Ready:
      return "ready";
    case State::Serving:
      return "serving";
    case State::Paused:
      return "paused";
    case State::Draining:
      return "draining";
    case State::Exited:
      return "exited";
  }
  return "unknown";
}

}  // namespace baton::proxy

#include "proxy/server/lifecycle.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace baton::proxy;
using S = GenerationState;
using E = GenerationEvent;
using A = GenerationAction;

namespace {

constexpr std::array kEvents{E::Warmed, E::Serve,          E::Pause,          E::Resume,   E::Drain,
                             E::Empty,  E::DeadlinePassed, E::SupervisorLost, E::LeftAlone};

struct Row {
  S state;
  std::array<GenerationStep, kEvents.size()> expected;  // in the order of kEvents
};

const std::array kTable{
    //             Warmed              Serve
    //             Pause               Resume
    //             Drain               Empty
    //             DeadlinePassed      SupervisorLost
    //             LeftAlone
    Row{S::Starting,
        {{{S::Ready, A::None},
          {S::Starting, A::Refuse},
          {S::Starting, A::Refuse},
          {S::Starting, A::Refuse},
          {S::Exited, A::Exit},
          {S::Starting, A::None},
          {S::Starting, A::None},
          {S::Exited, A::Exit},
          {S::Starting, A::None}}}},
    Row{S::Ready,
        {{{S::Ready, A::None},
          {S::Serving, A::StartAccepting},
          {S::Ready, A::Refuse},
          {S::Ready, A::Refuse},
          {S::Exited, A::Exit},
          {S::Ready, A::None},
          {S::Ready, A::None},
          {S::Exited, A::Exit},
          {S::Ready, A::None}}}},
    Row{S::Serving,
        {{{S::Serving, A::None},
          {S::Serving, A::Refuse},
          {S::Paused, A::PauseAccepting},
          {S::Serving, A::ResumeAccepting},
          {S::Draining, A::BeginDrain},
          {S::Serving, A::None},
          {S::Serving, A::None},
          {S::Serving, A::None},
          {S::Serving, A::None}}}},
    Row{S::Paused,
        {{{S::Paused, A::None},
          {S::Paused, A::Refuse},
          {S::Paused, A::Refuse},
          {S::Serving, A::ResumeAccepting},
          {S::Draining, A::BeginDrain},
          {S::Paused, A::None},
          {S::Paused, A::None},
          {S::Draining, A::BeginDrain},
          {S::Serving, A::ResumeAccepting}}}},
    Row{S::Draining,
        {{{S::Draining, A::None},
          {S::Draining, A::Refuse},
          {S::Draining, A::Refuse},
          {S::Draining, A::Refuse},
          {S::Draining, A::RetuneDrain},
          {S::Exited, A::Exit},
          {S::Exited, A::CutAndExit},
          {S::Draining, A::None},
          {S::Draining, A::None}}}},
    Row{S::Exited,
        {{{S::Exited, A::None},
          {S::Exited, A::None},
          {S::Exited, A::None},
          {S::Exited, A::None},
          {S::Exited, A::None},
          {S::Exited, A::None},
          {S::Exited, A::None},
          {S::Exited, A::None},
          {S::Exited, A::None}}}},
};

}  // namespace

TEST_CASE("generation life cycle: every state answers every event as the table says") {
  for (const Row& row : kTable) {
    for (std::size_t i = 0; i < kEvents.size(); ++i) {
      CAPTURE(std::string(state_name(row.state)));
      CAPTURE(i);
      const GenerationStep next = step(row.state, kEvents[i]);
      CHECK(next.state == row.expected[i].state);
      CHECK(next.action == row.expected[i].action);
    }
  }
}

TEST_CASE("generation life cycle: an order that is refused changes nothing") {
  for (const Row& row : kTable) {
    for (const E event : kEvents) {
      const GenerationStep next = step(row.state, event);
      if (next.action == A::Refuse) CHECK(next.state == row.state);
    }
  }
}

TEST_CASE("generation life cycle: one that serves never ends without an order or a successor") {
  for (const E event : {E::Warmed, E::Serve, E::Resume, E::Empty, E::DeadlinePassed,
                        E::SupervisorLost, E::LeftAlone}) {
    CHECK(step(S::Serving, event).state == S::Serving);
  }
}

#include "proxy/filter/filter_chain.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/network/tunnel_state.h"
#include "proxy/worker/event_loop.h"

using namespace baton;
using namespace baton::proxy;

namespace {

// The connection around a chain, reduced to what it was told.
struct FakeHost final : FilterChainHost {
  const os::SocketAddress& remote_address() const override { return state.client; }
  os::SocketAddress local_address() const override { return {}; }
  ev::loop_ref loop() const override { return const_cast<EventLoop&>(event_loop).ref(); }
  TunnelState& tunnel() override { return state; }
  Buffer& scratch() override { return scratch_buffer; }
  bool may_move() const override { return true; }
  bool board() override { return false; }
  void send_downstream(std::string_view data) override { sent += data; }
  void send_downstream(Buffer& data, EndOfStream end) override {
    sent += data.view();
    data.clear();
    sent_end = sent_end || end == EndOfStream::Yes;
  }
  bool downstream_full() const override { return full; }
  void pause_reading() override { paused = true; }
  void resume_reading() override { paused = false; }
  void pause_for_hold() override { held = true; }
  void resume_after_hold() override { held = false; }
  void close(CloseMode mode) override { closed.push_back(mode); }

  EventLoop event_loop;
  TunnelState state;
  Buffer scratch_buffer;
  std::string sent;
  bool sent_end = false;
  bool full = false;
  bool paused = false;
  bool held = false;
  std::vector<CloseMode> closed;
};

// A filter whose answers a test sets, and what it has been shown.
struct Script {
  FilterStatus new_connection = FilterStatus::Continue;
  FilterStatus data = FilterStatus::Continue;
  FilterStatus write = FilterStatus::Continue;
  bool freezes = true;
  std::function<void(Buffer&)> change;
  std::string log;
  std::string seen;
  NetworkFilterCallbacks* callbacks = nullptr;
};

struct ScriptedFilter final : NetworkFilter {
  ScriptedFilter(Script& filter_script, NetworkFilterCallbacks& callbacks) : script(filter_script) {
    script.callbacks = &callbacks;
  }
  FilterStatus on_new_connection() override {
    script.log += "N";
    return script.new_connection;
  }
  FilterStatus on_data(Buffer& data, EndOfStream end) override {
    script.log += end == EndOfStream::Yes ? "E" : "D";
    script.seen = data.view();
    if (script.change) script.change(data);
    return script.data;
  }
  FilterStatus on_write(Buffer& data, EndOfStream end) override {
    script.log += end == EndOfStream::Yes ? "e" : "w";
    script.seen = data.view();
    return script.write;
  }
  void on_downstream_full() override { script.log += "F"; }
  void on_downstream_drained() override { script.log += "d"; }
  void on_close(CloseMode, CloseCause) override { script.log += "C"; }
  bool freeze() override {
    if (script.freezes) script.log += "z";
    return script.freezes;
  }
  void thaw() override { script.log += "t"; }
  Script& script;
};

// Consumes everything, as a terminal filter must.
struct Chain {
  explicit Chain(std::size_t filters) : scripts(filters) {
    for (Script& script : scripts) {
      make.push_back([&script](NetworkFilterCallbacks& callbacks) {
        return std::make_unique<ScriptedFilter>(script, callbacks);
      });
    }
    scripts.back().change = [this](Buffer& data) {
      arrived += data.view();
      data.clear();
    };
    chain.emplace(host, make);
  }
  void data(std::string_view bytes, EndOfStream end = EndOfStream::No) {
    Buffer buffer;
    buffer.append(bytes);
    chain->on_data(buffer, end);
    CHECK(buffer.empty());
  }
  void write(std::string_view bytes, EndOfStream end = EndOfStream::No) {
    Buffer buffer;
    buffer.append(bytes);
    scripts.back().callbacks->write(buffer, end);
    CHECK(buffer.empty());
  }

  FakeHost host;
  std::vector<Script> scripts;
  std::vector<MakeNetworkFilter> make;
  std::string arrived;
  std::optional<FilterChain> chain;
};

}  // namespace

TEST_CASE("chain: filters see a connection and its bytes in order") {
  Chain chain(3);
  chain.chain->start();
  chain.data("abc");
  chain.data("", EndOfStream::Yes);
  for (const Script& script : chain.scripts) CHECK(script.log == "NDE");
  CHECK(chain.arrived == "abc");
}

TEST_CASE("chain: bytes for the client pass the filters from the last to the first") {
  Chain chain(3);
  chain.chain->start();
  chain.write("xyz", EndOfStream::Yes);
  CHECK(chain.scripts[1].log == "Ne");
  CHECK(chain.scripts[0].log == "Ne");
  CHECK(chain.scripts[2].log == "N");
  CHECK(chain.host.sent == "xyz");
  CHECK(chain.host.sent_end);
}

TEST_CASE("chain: a filter may change what passes") {
  Chain chain(2);
  chain.scripts[0].change = [](Buffer& data) {
    data.consume(1);
    data.append("!");
  };
  chain.chain->start();
  chain.data("xabc");
  CHECK(chain.arrived == "abc!");
}

TEST_CASE(
    "chain: bytes are kept for the filter that stops, and shown again with those that follow") {
  Chain chain(3);
  chain.scripts[1].data = FilterStatus::StopIteration;
  chain.chain->start();
  chain.data("ab");
  chain.data("cd");
  CHECK(chain.scripts[0].seen == "cd");
  CHECK(chain.scripts[1].seen == "abcd");
  CHECK(chain.arrived.empty());
  CHECK_FALSE(chain.chain->freeze());
  chain.scripts[1].data = FilterStatus::Continue;
  chain.data("ef", EndOfStream::Yes);
  CHECK(chain.arrived == "abcdef");
  CHECK(chain.scripts[2].log == "NE");
}

TEST_CASE("chain: continue_reading hands on what was kept, the end included, to the next filter") {
  Chain chain(3);
  chain.scripts[0].data = FilterStatus::StopIteration;
  chain.chain->start();
  chain.data("ab");
  chain.data("", EndOfStream::Yes);
  CHECK(chain.scripts[1].log == "N");
  chain.scripts[0].callbacks->continue_reading();
  CHECK(chain.scripts[0].log == "NDE");
  CHECK(chain.scripts[1].log == "NE");
  CHECK(chain.arrived == "ab");
  chain.scripts[0].callbacks->continue_reading();
  CHECK(chain.scripts[2].log == "NE");
}

TEST_CASE("chain: later filters hear of the connection only once an earlier one lets it pass") {
  Chain chain(3);
  chain.scripts[1].new_connection = FilterStatus::StopIteration;
  chain.chain->start();
  CHECK(chain.scripts[1].log == "N");
  CHECK(chain.scripts[2].log.empty());
  SUBCASE("by continue_reading()") {
    chain.scripts[1].callbacks->continue_reading();
    CHECK(chain.scripts[2].log == "N");
  }
  SUBCASE("by letting the first bytes pass") {
    chain.data("hi");
    CHECK(chain.scripts[1].log == "ND");
    CHECK(chain.scripts[2].log == "ND");
    CHECK(chain.arrived == "hi");
  }
}

TEST_CASE("chain: a watermark's worth of kept bytes stops reading until they have passed") {
  Chain chain(2);
  chain.scripts[0].data = FilterStatus::StopIteration;
  chain.chain->start();
  const std::string half(FilterChain::kHoldWatermark / 2, 'x');
  chain.data(half);
  CHECK_FALSE(chain.host.held);
  chain.data(half);
  CHECK(chain.host.held);
  chain.scripts[0].callbacks->continue_reading();
  CHECK_FALSE(chain.host.held);
  CHECK(chain.arrived == half + half);
}

TEST_CASE("chain: bytes for the client that a filter keeps count as waiting") {
  Chain chain(2);
  chain.scripts[0].write = FilterStatus::StopIteration;
  chain.chain->start();
  const std::string bytes(FilterChain::kHoldWatermark, 'x');
  chain.write(bytes);
  CHECK(chain.host.sent.empty());
  CHECK(chain.scripts[1].log == "NF");
  chain.scripts[0].callbacks->continue_writing();
  CHECK(chain.host.sent == bytes);
  CHECK(chain.scripts[1].log == "NFd");
}

TEST_CASE("chain: the terminal filter hears when the client is slow and when it has caught up") {
  Chain chain(2);
  chain.chain->start();
  chain.host.full = true;
  chain.write("x");
  CHECK(chain.scripts[1].log == "NF");
  chain.host.full = false;
  chain.chain->on_downstream_flushed();
  CHECK(chain.scripts[1].log == "NFd");
}

TEST_CASE("chain: once closed each filter is told once, and nothing else reaches it") {
  Chain chain(2);
  chain.chain->start();
  chain.chain->close(CloseMode::Now, CloseCause::Proxy);
  chain.chain->close(CloseMode::Reset, CloseCause::Client);
  chain.data("late");
  chain.write("late");
  chain.chain->on_downstream_flushed();
  chain.scripts[1].callbacks->close(CloseMode::Now);
  for (const Script& script : chain.scripts) CHECK(script.log == "NC");
  CHECK(chain.host.sent.empty());
  CHECK(chain.host.closed.empty());
  CHECK_FALSE(chain.chain->freeze());
}

TEST_CASE("chain: all filters freeze or none") {
  Chain chain(3);
  chain.chain->start();
  REQUIRE(chain.chain->freeze());
  chain.chain->thaw();
  for (const Script& script : chain.scripts) CHECK(script.log == "Nzt");
  chain.scripts[1].freezes = false;
  CHECK_FALSE(chain.chain->freeze());
  CHECK(chain.scripts[0].log == "Nztzt");
  CHECK(chain.scripts[2].log == "Nzt");
}

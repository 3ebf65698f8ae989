// One leg of a tunnel: reads from its socket into the worker's scratch buffer, writes to it, keeps
// what the kernel does not take, and carries half-close both ways.
//
// In steady state a small message costs one recv here and one send on the other leg, nothing else:
// the read watcher stays registered, the write watcher is on only while bytes are waiting. Small
// writes leave at the end of the loop's iteration (SendQueue); until then they count as sent. What
// the kernel does not take of one then is back-pressure for the next one.
//
// Thread: its worker's. Owns: the watcher. Borrows: the leg's state (with its socket), the scratch
// buffer, the counters, the sink.
// Invariant: between two callbacks the scratch buffer is empty, and leg.unsent is non-empty exactly
// while the write watcher is on (or the connection is frozen). What is queued has nothing in
// leg.unsent ahead of it.
#pragma once

#include <ev++.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "proxy/network/buffer.h"
#include "proxy/network/tunnel_state.h"
#include "shared/region/metric.h"

namespace baton::proxy {

// Why a connection is not read at the moment; it is read when no reason is left.
enum class PauseReason : std::uint8_t {
  Filter = 1,      // the terminal filter: no upstream yet, or it is slow
  FilterHold = 2,  // filters hold a watermark's worth of received bytes
};

enum class WriteStatus : std::uint8_t { Ok, Failed };

struct ByteCounters {
  region::Counter received;
  region::Counter sent;
};

class ConnectionSink {
 public:
  // `data` is the scratch buffer; what is left in it on return is lost. With EndOfStream::Yes it is
  // empty and nothing more will be received.
  virtual void on_received(Buffer& data, EndOfStream end) = 0;
  // The socket has failed: a reset, as a rule. What had been received before was delivered.
  virtual void on_failed() = 0;
  // What a write() had taken could not be sent. The caller's part of a failed write() follows.
  // `error` is errno's value.
  virtual void on_write_failed(int error) = 0;
  // Bytes that were waiting have gone out and the low watermark is reached, or the queued end has.
  virtual void on_flushed() = 0;

 protected:
  ~ConnectionSink() = default;
};

class Connection {
 public:
  // What may wait in `unsent` before full(), and when it is no longer. Not reading more is cheaper
  // than keeping it, so the source is paused as soon as the kernel does not take everything.
  static constexpr std::size_t kHighWatermark = 1;
  static constexpr std::size_t kLowWatermark = 0;

  Connection(ev::loop_ref loop, LegState& leg, Buffer& scratch, const ByteCounters& counters,
             ConnectionSink& sink);
  ~Connection() { send_now(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Before any I/O: what passes counts there instead; outlives this, as those of the constructor.
  void count_in(const ByteCounters& counters) { counters_ = &counters; }

  // Begins to read (unless paused) and to write what waits; leg.fd is set.
  void start();
  bool started() const { return started_; }
  // Runs, but the loop waits for nothing of it: it would not be told of a reset.
  bool awaits_nothing() const { return started_ && !frozen_ && watched_ == 0 && leg_.fd.valid(); }
  // Instead of start(): the leg has come from another process as it was frozen there. It stays so
  // until thaw().
  void restore();

  // Takes all bytes of `data`. On Failed the caller ends the tunnel, after deliver_rest(). One that
  // fails later is told of by on_write_failed().
  [[nodiscard]] WriteStatus write(Buffer& data, EndOfStream end);
  // The same for bytes that lie elsewhere; the end may follow by the other one.
  [[nodiscard]] WriteStatus write(std::string_view data);
  bool full() const { return full_; }
  // A send has failed, and the sink is still to be told.
  bool failed() const { return failure_ != 0; }
  // The kernel has all that was written.
  bool all_sent() const { return leg_.unsent.empty() && !queued_ && !failed(); }
  // What this iteration has written is sent, and what the kernel does not take is in leg.unsent.
  void send_now();

  void pause(PauseReason reason);
  void resume(PauseReason reason);

  // After the first write that failed, with `error` (errno's value, 0: unknown): hands on what the
  // peer had sent before it went away, and its end if it had ended in order.
  void deliver_rest(int error);

  // Stops watching, removes the epoll registration and does no I/O until thaw(); the socket stays
  // open and what is written meanwhile waits in leg.unsent. False, and nothing has changed: it has
  // failed().
  [[nodiscard]] bool freeze();
  void thaw();

  // Closes the socket, and so that the peer sees it although leg.shared; no callback follows.
  void close();
  // The same, but so that the peer sees a reset instead of an end, after one attempt to send what
  // waits.
  void reset();

 private:
  friend class SendQueue;

  bool sends_next() const {
    return failure_ == 0 && !frozen_ && leg_.unsent.empty() && leg_.fd.valid();
  }
  bool queue(std::string_view data);
  bool send_ahead(std::string_view data);
  // The queue's: the socket that it may send on now, or -1; and what has come of it: how many bytes
  // of `data` the kernel has taken, or -errno.
  int queue_target() const;
  void on_queue_sent(std::string_view data, int result);
  void tell_failure();
  void on_ready(ev::io& watcher, int events);
  enum class Received : std::uint8_t { Part, Full };
  Received receive();
  void end_reading();
  void flush();
  [[nodiscard]] WriteStatus send_from(Buffer& data);
  [[nodiscard]] WriteStatus send_some(std::span<const char> data, std::size_t& sent);
  void send_end_if_due();
  void fail();
  void watch();
  void abort_shared();

  LegState& leg_;
  Buffer& scratch_;
  const ByteCounters* counters_;
  ConnectionSink& sink_;
  ev::io io_;
  std::uint8_t pauses_ = 0;  // PauseReason bits
  std::uint8_t watched_ = 0;
  bool started_ = false;
  bool frozen_ = false;
  bool full_ = false;
  bool queued_ = false;        // in the loop's SendQueue
  std::uint16_t failure_ = 0;  // errno's value of a send that the sink is to be told of
};

}  // namespace baton::proxy

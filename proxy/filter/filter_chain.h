// The filters of one connection in their order, and what each of them keeps back.
//
// Thread: its worker's. Owns: the filters, held bytes. Borrows: the host (outlives it).
// Invariant: after any call here all bytes handed in have been consumed by a filter, sent, or are
// held for the filter that stopped; once closed nothing but on_close() reaches a filter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "proxy/filter/network_filter.h"

namespace baton::proxy {

// The connection a chain belongs to.
class FilterChainHost {
 public:
  virtual const os::SocketAddress& remote_address() const = 0;
  virtual os::SocketAddress local_address() const = 0;
  virtual ev::loop_ref loop() const = 0;
  virtual TunnelState& tunnel() = 0;
  virtual bool may_move() const = 0;
  virtual bool board() = 0;
  virtual Buffer& scratch() = 0;
  // Past all filters: takes all bytes.
  virtual void send_downstream(Buffer& data, EndOfStream end) = 0;
  virtual void send_downstream(std::string_view data) = 0;
  virtual bool downstream_full() const = 0;
  virtual void pause_reading() = 0;  // the terminal filter's wish
  virtual void resume_reading() = 0;
  virtual void pause_for_hold() = 0;  // the chain's own: a watermark's worth of bytes is held
  virtual void resume_after_hold() = 0;
  virtual void close(CloseMode mode) = 0;

 protected:
  ~FilterChainHost() = default;
};

class FilterChain {
 public:
  // What filters may hold of one direction before its source is paused.
  static constexpr std::size_t kHoldWatermark = std::size_t{64} * 1024;

  FilterChain(FilterChainHost& host, std::span<const MakeNetworkFilter> filters);
  ~FilterChain();
  FilterChain(const FilterChain&) = delete;
  FilterChain& operator=(const FilterChain&) = delete;

  // on_new_connection(), in order, until one stops.
  void start();
  // From the client: takes all bytes.
  void on_data(Buffer& data, EndOfStream end);
  // Whether an idle connection ends: the terminal filter's answer.
  bool ends_when_idle();
  bool between_messages() const;
  // What waited for the client has gone out: tells the terminal filter.
  void on_downstream_flushed();
  void close(CloseMode mode, CloseCause cause);

  // All filters or none; false as well while bytes are held.
  bool freeze();
  void thaw();
  MoveDetails move_details() const;
  // Instead of start(); the filters ahead of the terminal one keep no state of a connection.
  bool restore(const MoveDetails& details);

 private:
  class Link;

  bool started(Link& link);
  void read_from(std::size_t index, Buffer& data, EndOfStream end);
  void write_from(std::size_t end_index, Buffer& data, EndOfStream end);
  // The bytes as the filters ahead of end_index leave them; null: one has stopped, or nothing is
  // left to send.
  Buffer* pass_writers(std::size_t end_index, Buffer& data, EndOfStream end);
  void write_from(std::size_t end_index, std::string_view data);
  void watch_held();
  bool downstream_full() const;

  FilterChainHost& host_;
  std::unique_ptr<Link[]> links_;
  std::uint32_t size_;
  bool closed_ = false;
};

}  // namespace baton::proxy

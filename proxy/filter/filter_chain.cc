#include "proxy/filter/filter_chain.h"

#include <utility>

#include "shared/os/check.h"

namespace baton::proxy {
namespace {

// Bytes of one direction that wait in front of a filter; a view of what its link keeps.
struct Held {
  Buffer& bytes;
  bool& end;

  EndOfStream take_end() { return std::exchange(end, false) ? EndOfStream::Yes : EndOfStream::No; }
  void keep(Buffer& data, EndOfStream data_end) {
    if (&data != &bytes) {
      bytes.append(data.view());
      data.clear();
    }
    if (data_end == EndOfStream::Yes) end = true;
  }
  // What the filter is shown: new bytes join those it has kept back.
  Buffer& join(Buffer& data) {
    if (bytes.empty() || &data == &bytes) return data;
    bytes.append(data.view());
    data.clear();
    return bytes;
  }
  void release_if_empty() {
    if (bytes.empty()) bytes.release();
  }
};

}  // namespace

// One filter, its place in the chain, and what it keeps back.
class FilterChain::Link final : public NetworkFilterCallbacks {
 public:
  const os::SocketAddress& remote_address() const override { return chain->host_.remote_address(); }
  os::SocketAddress local_address() const override { return chain->host_.local_address(); }
  ev::loop_ref loop() const override { return chain->host_.loop(); }
  TunnelState& tunnel() override { return chain->host_.tunnel(); }
  bool may_move() const override { return chain->host_.may_move(); }
  bool board() override { return !chain->closed_ && chain->host_.board(); }
  Buffer& scratch() override { return chain->host_.scratch(); }
  void pause_reading() override { chain->host_.pause_reading(); }
  void resume_reading() override { chain->host_.resume_reading(); }
  void close(CloseMode mode) override {
    if (!chain->closed_) chain->host_.close(mode);
  }
  void write(Buffer& data, EndOfStream end) override { chain->write_from(index, data, end); }
  void write(std::string_view data) override { chain->write_from(index, data); }

  void continue_reading() override {
    chain->read_from(index + 1, to_read().bytes, to_read().take_end());
    to_read().release_if_empty();
    chain->watch_held();
  }
  void continue_writing() override {
    chain->write_from(index, to_write().bytes, to_write().take_end());
    to_write().release_if_empty();
    chain->on_downstream_flushed();
  }

  Held to_read() { return {read_bytes_, read_end_}; }
  Held to_write() { return {write_bytes_, write_end_}; }
  bool holds_nothing() const {
    return read_bytes_.empty() && !read_end_ && write_bytes_.empty() && !write_end_;
  }

  FilterChain* chain = nullptr;
  std::unique_ptr<NetworkFilter> filter;
  std::uint32_t index = 0;
  bool started = false;

 private:
  bool read_end_ = false;
  bool write_end_ = false;
  Buffer read_bytes_;
  Buffer write_bytes_;
};

FilterChain::FilterChain(FilterChainHost& host, std::span<const MakeNetworkFilter> filters)
    : host_(host),
      links_(std::make_unique<Link[]>(filters.size())),
      size_(static_cast<std::uint32_t>(filters.size())) {
  BATON_CHECK(!filters.empty());
  for (std::uint32_t i = 0; i < size_; ++i) {
    links_[i].chain = this;
    links_[i].index = i;
    links_[i].filter = filters[i](links_[i]);
  }
}

FilterChain::~FilterChain() = default;

void FilterChain::start() {
  Buffer nothing;
  read_from(0, nothing, EndOfStream::No);
}

void FilterChain::on_data(Buffer& data, EndOfStream end) {
  read_from(0, data, end);
  if (size_ > 1) watch_held();
}

// True when the filter may be shown bytes now.
bool FilterChain::started(Link& link) {
  if (link.started) return true;
  link.started = true;
  return link.filter->on_new_connection() == FilterStatus::Continue && !closed_;
}

void FilterChain::read_from(std::size_t index, Buffer& data, EndOfStream end) {
  Buffer* current = &data;
  for (; index < size_ && !closed_; ++index) {
    Link& link = links_[index];
    if (!started(link)) {
      link.to_read().keep(*current, end);
      return;
    }
    Buffer& shown = link.to_read().join(*current);
    if (shown.empty() && end == EndOfStream::No) continue;
    if (link.filter->on_data(shown, end) == FilterStatus::StopIteration) {
      link.to_read().keep(shown, end);
      return;
    }
    current = &shown;
  }
  current->clear();
}

// Filters [0, end_index) see the bytes, the last of them first.
Buffer* FilterChain::pass_writers(std::size_t end_index, Buffer& data, EndOfStream end) {
  Buffer* current = &data;
  for (std::size_t i = end_index; i > 0 && !closed_; --i) {
    Link& link = links_[i - 1];
    Buffer& shown = link.to_write().join(*current);
    if (shown.empty() && end == EndOfStream::No) return nullptr;
    if (link.filter->on_write(shown, end) == FilterStatus::StopIteration) {
      link.to_write().keep(shown, end);
      if (downstream_full()) links_[size_ - 1].filter->on_downstream_full();
      return nullptr;
    }
    current = &shown;
  }
  if (closed_) current->clear();
  const bool nothing = current->empty() && end == EndOfStream::No;
  return closed_ || nothing ? nullptr : current;
}

void FilterChain::write_from(std::size_t end_index, Buffer& data, EndOfStream end) {
  Buffer* const passed = pass_writers(end_index, data, end);
  if (passed == nullptr) return;
  host_.send_downstream(*passed, end);
  if (host_.downstream_full() && !closed_) links_[size_ - 1].filter->on_downstream_full();
}

void FilterChain::write_from(std::size_t end_index, std::string_view data) {
  if (closed_) return;
  if (end_index == 0) {
    host_.send_downstream(data);
  } else {
    Buffer copy;
    copy.append(data);
    Buffer* const passed = pass_writers(end_index, copy, EndOfStream::No);
    if (passed == nullptr) return;
    host_.send_downstream(passed->view());
    passed->clear();
  }
  if (host_.downstream_full() && !closed_) links_[size_ - 1].filter->on_downstream_full();
}

// Bytes that filters hold back count as waiting, too.
bool FilterChain::downstream_full() const {
  std::size_t held = 0;
  for (std::uint32_t i = 0; i + 1 < size_; ++i) held += links_[i].to_write().bytes.size();
  return held >= kHoldWatermark || host_.downstream_full();
}

bool FilterChain::between_messages() const {
  return !closed_ && links_[size_ - 1].filter->between_messages();
}

bool FilterChain::ends_when_idle() { return closed_ || links_[size_ - 1].filter->ends_when_idle(); }

void FilterChain::on_downstream_flushed() {
  if (closed_ || downstream_full()) return;
  links_[size_ - 1].filter->on_downstream_drained();
}

void FilterChain::watch_held() {
  if (closed_) return;
  std::size_t held = 0;
  for (std::uint32_t i = 0; i < size_; ++i) {
    links_[i].to_read().release_if_empty();
    held += links_[i].to_read().bytes.size();
  }
  held >= kHoldWatermark ? host_.pause_for_hold() : host_.resume_after_hold();
}

void FilterChain::close(CloseMode mode, CloseCause cause) {
  if (std::exchange(closed_, true)) return;
  for (std::uint32_t i = 0; i < size_; ++i) links_[i].filter->on_close(mode, cause);
}

bool FilterChain::freeze() {
  if (closed_) return false;
  for (std::uint32_t i = 0; i < size_; ++i) {
    const Link& link = links_[i];
    if (!link.holds_nothing() || !link.started || !link.filter->freeze()) {
      for (std::uint32_t frozen = 0; frozen < i; ++frozen) links_[frozen].filter->thaw();
      return false;
    }
  }
  return true;
}

MoveDetails FilterChain::move_details() const { return links_[size_ - 1].filter->move_details(); }

bool FilterChain::restore(const MoveDetails& details) {
  for (std::uint32_t i = 0; i < size_; ++i) links_[i].started = true;
  return links_[size_ - 1].filter->restore(details);
}

void FilterChain::thaw() {
  for (std::uint32_t i = 0; i < size_; ++i) links_[i].filter->thaw();
}

}  // namespace baton::proxy

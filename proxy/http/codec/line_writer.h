// Fills the lines of a head into room that has been made for them once.
// Thread: none. Borrows: the buffer, whose readable bytes grow when the writer goes.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "proxy/http/codec/header_map.h"
#include "proxy/network/buffer.h"

namespace baton::proxy::http {

// What put_fields() needs at most.
std::size_t fields_size(const HeaderMap& fields);

class LineWriter {
 public:
  // All that is put must fit into `room` bytes.
  LineWriter(Buffer& out, std::size_t room) : out_(out) {
    out.reserve(room);
    begin_ = at_ = out.writable().data();
  }
  ~LineWriter() { out_.commit(static_cast<std::size_t>(at_ - begin_)); }
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  void put(std::string_view text) {
    if (text.empty()) return;  // memcpy must not be given null
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  // 20 digits at most.
  void put_number(std::uint64_t number) { at_ = std::to_chars(at_, at_ + 20, number).ptr; }
  void put_line(std::string_view name, std::string_view value) {
    put(name);
    put(": ");
    put(value);
    put("\r\n");
  }
  // All lines but those of `skipped`, in order.
  void put_fields(const HeaderMap& fields, HeaderSet skipped);

 private:
  Buffer& out_;
  char* begin_;
  char* at_;
};

}  // namespace baton::proxy::http

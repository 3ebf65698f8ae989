// One header line: its name and its value as views, and which name it is.
// Thread: none; a plain value. Borrows the bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/codec/header_id.h"

namespace baton::proxy::http {

// Sizes are narrow so that a list of them is small: a head's bytes fit into a Buffer, thus 32 bits.
class HeaderField {
 public:
  static constexpr std::size_t kMaxNameBytes = UINT16_MAX;

  // Whether the bytes from the name to the CRLF behind the value are "name: value CRLF", to be
  // copied as they are. Only a parser knows.
  enum class Line : std::uint8_t { Assembled, Verbatim };

  HeaderField() = default;
  // name.size() <= kMaxNameBytes; id belongs to name.
  HeaderField(HeaderId id, std::string_view name, std::string_view value,
              Line line = Line::Assembled)
      : name_(name.data()),
        value_(value.data()),
        value_size_(static_cast<std::uint32_t>(value.size())),
        name_size_(static_cast<std::uint16_t>(name.size())),
        id_(id),
        line_(line) {}

  HeaderId id() const { return id_; }
  // As received, in its own case.
  std::string_view name() const { return {name_, name_size_}; }
  // Without the blanks around it.
  std::string_view value() const { return {value_, value_size_}; }
  Line line() const { return line_; }
  // Verbatim lines only: with the CRLF.
  std::string_view verbatim() const { return {name_, value_ + value_size_ + 2}; }

 private:
  const char* name_ = nullptr;
  const char* value_ = nullptr;
  std::uint32_t value_size_ = 0;
  std::uint16_t name_size_ = 0;
  HeaderId id_ = HeaderId::Other;
  Line line_ = Line::Assembled;
};

}  // namespace baton::proxy::http

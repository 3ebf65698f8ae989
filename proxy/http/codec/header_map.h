// The header lines of a message, in their order and their case: views into the received bytes, and
// copies of what has been added. Reading and removing allocate nothing; adding does only beyond 32
// lines or some 250 added bytes.
//
// Thread: none. Borrows: the received bytes, until clear() or rebase(). Owns: added texts.
// Invariant: every name is a token, no value holds CR, LF, NUL or another control character: what
// is written out is read by others as the same lines.
#pragma once

#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <string_view>

#include "proxy/http/codec/header_field.h"
#include "proxy/http/codec/header_id.h"
#include "proxy/http/codec/text_store.h"

namespace baton::proxy::http {

class HeaderMap {
 public:
  using Fields = boost::container::small_vector<HeaderField, 32>;
  using const_iterator = Fields::const_iterator;

  bool empty() const { return fields_.empty(); }
  std::size_t size() const { return fields_.size(); }
  const_iterator begin() const { return fields_.begin(); }
  const_iterator end() const { return fields_.end(); }

  // Ids other than HeaderId::Other only.
  bool has(HeaderId id) const { return present_.has(id); }
  bool repeated(HeaderId id) const { return repeated_.has(id); }

  // The first line of that name; null when there is none. Valid until the next change.
  const HeaderField* find(HeaderId id) const {
    return present_.has(id) ? find_present(id) : nullptr;
  }
  const HeaderField* find(std::string_view name) const;
  // The first line's value; empty when there is none.
  std::string_view get(HeaderId id) const {
    const HeaderField* const field = find(id);
    return field != nullptr ? field->value() : std::string_view();
  }
  std::string_view get(std::string_view name) const {
    const HeaderField* const field = find(name);
    return field != nullptr ? field->value() : std::string_view();
  }

  // Appends a line, both texts copied. False, and nothing changed, when the name is not a token or
  // the value holds a character that may not stand there.
  bool add(std::string_view name, std::string_view value);
  bool add(HeaderId id, std::string_view value);
  // The same, but the texts stay where they are: constants, or bytes that outlive this map.
  bool add_borrowed(std::string_view name, std::string_view value);
  bool add_borrowed(HeaderId id, std::string_view value);

  // Leaves exactly one line of that name: at the place of the first, else at the end.
  bool set(std::string_view name, std::string_view value);
  bool set(HeaderId id, std::string_view value) { return set(header_name(id), value); }

  // How many lines went.
  std::size_t remove(HeaderId id);
  std::size_t remove(std::string_view name);
  // Those whose name is another, but passes for that one (for one of `ids`) where '_' is taken for
  // '-': X_Real_IP. How many went.
  std::size_t remove_lookalikes(std::string_view name);
  std::size_t remove_lookalikes(HeaderSet ids);

  // A copy that lives as long as added texts do: for a rewritten path and the like.
  std::string_view keep(std::string_view text) { return texts_.keep(text); }

  void clear();
  // The received bytes, of which `from` is the whole head, now are at `to`, unchanged. Texts
  // outside `from` stay.
  void rebase(std::string_view from, const char* to);

  // For parsers: a line that keeps the invariant already.
  void append(const HeaderField& field) {
    if (present_.has(field.id())) repeated_.add(field.id());
    present_.add(field.id());
    fields_.push_back(field);
  }

 private:
  const HeaderField* find_present(HeaderId id) const;
  template <class Matches>
  std::size_t remove_if(Matches matches);

  Fields fields_;
  HeaderSet present_;  // the bit of Other says nothing to callers
  HeaderSet repeated_;
  TextStore texts_;
};

}  // namespace baton::proxy::http

#include "proxy/http/codec/header_map.h"

#include <algorithm>

#include "proxy/http/codec/characters.h"
#include "proxy/http/codec/rebase.h"

namespace baton::proxy::http {
namespace {

// Names beyond the known ones compare by their text.
struct SameName {
  HeaderId id;
  std::string_view name;

  bool operator()(const HeaderField& field) const {
    return field.id() == id && (id != HeaderId::Other || equal_ignoring_case(field.name(), name));
  }
};

SameName same_name(std::string_view name) {
  return {is_token(name) ? find_header_id(name) : HeaderId::Other, name};
}

char to_hyphen(char c) { return c == '_' ? '-' : to_lower(c); }

bool same_to_cgi(std::string_view left, std::string_view right) {
  return left.size() == right.size() && std::ranges::equal(left, right, {}, to_hyphen, to_hyphen);
}

bool is_well_formed(std::string_view name, std::string_view value) {
  return is_token(name) && name.size() <= HeaderField::kMaxNameBytes && is_value(value);
}

}  // namespace

const HeaderField* HeaderMap::find_present(HeaderId id) const {
  for (const HeaderField& field : fields_) {
    if (field.id() == id) return &field;
  }
  return nullptr;
}

const HeaderField* HeaderMap::find(std::string_view name) const {
  const auto found = std::ranges::find_if(fields_, same_name(name));
  return found != fields_.end() ? &*found : nullptr;
}

bool HeaderMap::add(std::string_view name, std::string_view value) {
  if (!is_well_formed(name, value)) return false;
  const HeaderId id = find_header_id(name);
  append({id, texts_.keep(name), texts_.keep(trim_blanks(value))});
  return true;
}

bool HeaderMap::add(HeaderId id, std::string_view value) {
  if (id == HeaderId::Other || !is_value(value)) return false;
  append({id, header_name(id), texts_.keep(trim_blanks(value))});
  return true;
}

bool HeaderMap::add_borrowed(HeaderId id, std::string_view value) {
  if (id == HeaderId::Other || !is_value(value)) return false;
  append({id, header_name(id), trim_blanks(value)});
  return true;
}

bool HeaderMap::add_borrowed(std::string_view name, std::string_view value) {
  if (!is_well_formed(name, value)) return false;
  append({find_header_id(name), name, trim_blanks(value)});
  return true;
}

bool HeaderMap::set(std::string_view name, std::string_view value) {
  if (!is_well_formed(name, value)) return false;
  const SameName same = same_name(name);
  const auto first = std::ranges::find_if(fields_, same);
  if (first == fields_.end()) return add(name, value);
  *first = HeaderField(same.id, first->name(), texts_.keep(trim_blanks(value)));
  fields_.erase(std::remove_if(first + 1, fields_.end(), same), fields_.end());
  repeated_.remove(same.id);
  return true;
}

template <class Matches>
std::size_t HeaderMap::remove_if(Matches matches) {
  const std::size_t before = fields_.size();
  fields_.erase(std::remove_if(fields_.begin(), fields_.end(), matches), fields_.end());
  return before - fields_.size();
}

std::size_t HeaderMap::remove(HeaderId id) {
  if (id == HeaderId::Other || !present_.has(id)) return 0;
  present_.remove(id);
  repeated_.remove(id);
  return remove_if([id](const HeaderField& field) { return field.id() == id; });
}

std::size_t HeaderMap::remove(std::string_view name) {
  const SameName same = same_name(name);
  return same.id != HeaderId::Other ? remove(same.id) : remove_if(same);
}

std::size_t HeaderMap::remove_lookalikes(std::string_view name) {
  const SameName same = same_name(name);
  std::size_t removed = 0;
  if (same.id == HeaderId::Other && is_token(name)) removed = remove(find_lookalike_id(name));
  return removed + remove_if([&](const HeaderField& field) {
           return field.id() == HeaderId::Other && same_to_cgi(field.name(), name) && !same(field);
         });
}

std::size_t HeaderMap::remove_lookalikes(HeaderSet ids) {
  return remove_if([ids](const HeaderField& field) {
    if (field.id() != HeaderId::Other) return false;
    const HeaderId id = find_lookalike_id(field.name());
    return id != HeaderId::Other && ids.has(id);
  });
}

void HeaderMap::clear() {
  fields_.clear();
  present_ = {};
  repeated_ = {};
  texts_.clear();
}

void HeaderMap::rebase(std::string_view from, const char* to) {
  for (HeaderField& field : fields_) {
    field = HeaderField(field.id(), rebased(field.name(), from, to),
                        rebased(field.value(), from, to), field.line());
  }
}

}  // namespace baton::proxy::http

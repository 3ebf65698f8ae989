#include "proxy/http/codec/chunk_extension.h"

#include "proxy/http/codec/characters.h"

namespace baton::proxy::http {

bool ChunkExtension::take_after_value(char c) {
  if (c == ';') {
    phase_ = Phase::BeforeName;
    return true;
  }
  phase_ = Phase::BeforeSemicolon;
  return is_blank(c);
}

bool ChunkExtension::take(char c) {
  switch (phase_) {
    case Phase::BeforeSemicolon:
    case Phase::QuotedEnd:
      return take_after_value(c);
    case Phase::BeforeName:
      if (is_token_character(c)) phase_ = Phase::Name;
      return is_token_character(c) || is_blank(c);
    case Phase::Name:
    case Phase::AfterName:
      if (c == '=') {
        phase_ = Phase::BeforeValue;
        return true;
      }
      if (c == ';') {
        phase_ = Phase::BeforeName;
        return true;
      }
      if (is_token_character(c)) return phase_ == Phase::Name;
      phase_ = Phase::AfterName;
      return is_blank(c);
    case Phase::BeforeValue:
      if (c == '"') {
        phase_ = Phase::Quoted;
        return true;
      }
      if (is_token_character(c)) phase_ = Phase::Token;
      return is_token_character(c) || is_blank(c);
    case Phase::Token:
      return is_token_character(c) || take_after_value(c);
    case Phase::Quoted:
      if (c == '"') phase_ = Phase::QuotedEnd;
      if (c == '\\') phase_ = Phase::Escaped;
      return is_value_character(c);
    case Phase::Escaped:
      phase_ = Phase::Quoted;
      return is_value_character(c);
  }
  return false;
}

}  // namespace baton::proxy::http

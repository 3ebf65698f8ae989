#include "proxy/upstream/srv_reply.h"

#include <ares.h>

#include <algorithm>
#include <optional>

namespace baton::proxy {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kQuestionTail = 4;  // type, class
constexpr std::size_t kRecordTail = 10;   // type, class, time to live, length of data
constexpr std::size_t kSrvFields = 6;     // priority, weight, port
constexpr std::uint16_t kRecordSrv = 33;

// c-ares' own parser of SRV records does not tell their time to live.
class Message {
 public:
  explicit Message(std::span<const unsigned char> bytes) : bytes_(bytes) {}

  bool has(std::size_t count) const { return bytes_.size() - at_ >= count; }
  std::size_t at() const { return at_; }
  void skip(std::size_t count) { at_ += count; }
  std::uint16_t u16() {
    const auto value = static_cast<std::uint16_t>(bytes_[at_] << 8 | bytes_[at_ + 1]);
    at_ += 2;
    return value;
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  // Names may be compressed: pointers into the message, which c-ares follows within its bounds.
  std::optional<std::string> name() {
    char* text = nullptr;
    long length = 0;
    if (at_ >= bytes_.size() ||
        ::ares_expand_name(bytes_.data() + at_, bytes_.data(), static_cast<int>(bytes_.size()),
                           &text, &length) != ARES_SUCCESS) {
      return std::nullopt;
    }
    std::string name(text);
    ::ares_free_string(text);
    at_ += static_cast<std::size_t>(length);
    return name;
  }

 private:
  std::span<const unsigned char> bytes_;
  std::size_t at_ = 0;
};

// Nothing: malformed.
std::optional<std::vector<SrvRecord>> all_records(Message message) {
  if (!message.has(kHeaderBytes)) return std::nullopt;
  message.skip(4);
  const std::uint16_t questions = message.u16();
  const std::uint16_t answers = message.u16();
  message.skip(4);
  for (std::uint16_t i = 0; i < questions; ++i) {
    if (!message.name() || !message.has(kQuestionTail)) return std::nullopt;
    message.skip(kQuestionTail);
  }
  std::vector<SrvRecord> records;
  for (std::uint16_t i = 0; i < answers; ++i) {
    if (!message.name() || !message.has(kRecordTail)) return std::nullopt;
    const std::uint16_t type = message.u16();
    message.skip(2);
    const std::uint32_t ttl = message.u32();
    const std::uint16_t length = message.u16();
    if (!message.has(length)) return std::nullopt;
    const std::size_t end = message.at() + length;
    if (type == kRecordSrv) {
      if (length < kSrvFields) return std::nullopt;
      SrvRecord record{.ttl_seconds = ttl};
      record.priority = message.u16();
      record.weight = message.u16();
      record.port = message.u16();
      auto host = message.name();
      if (!host || message.at() > end) return std::nullopt;
      record.host = std::move(*host);
      records.push_back(std::move(record));
    }
    message.skip(end - message.at());
  }
  return records;
}

}  // namespace

std::expected<std::vector<SrvRecord>, std::string> parse_srv_reply(
    std::span<const unsigned char> message) {
  auto records = all_records(Message(message));
  if (!records) return std::unexpected("malformed answer");
  std::erase_if(*records, [](const SrvRecord& record) {
    return record.host.empty() || record.host == "." || record.port == 0;
  });
  return std::move(*records);
}

}  // namespace baton::proxy

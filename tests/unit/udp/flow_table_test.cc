#include "proxy/udp/flow_table.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <set>
#include <vector>

using namespace baton::proxy::udp;

namespace {

struct Entry : FlowHook {
  explicit Entry(FlowKey key) : key_(key) {}
  const FlowKey& flow() const { return key_; }

 private:
  FlowKey key_;
};

FlowKey numbered(std::uint32_t number) {
  FlowKey key;
  key.family = AF_INET;
  key.client = {127, 0, static_cast<std::uint8_t>(number >> 16), 1};
  key.port = static_cast<in_port_t>(number);
  return key;
}

}  // namespace

TEST_CASE("flow table: each of many entries is found while the table grows and shrinks") {
  constexpr std::uint32_t kCount = 100'000;
  std::vector<std::unique_ptr<Entry>> entries;
  FlowTable<Entry> table;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    CHECK_FALSE(table.find(numbered(i)));
    table.insert(*entries.emplace_back(std::make_unique<Entry>(numbered(i))));
  }
  CHECK(table.size() == kCount);
  for (std::uint32_t i = 0; i < kCount; i += 2) table.erase(*entries[i]);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    CHECK(table.find(numbered(i)) == (i % 2 == 0 ? nullptr : entries[i].get()));
  }
}

TEST_CASE("flow table: every part of a flow tells it from others") {
  FlowKey base = numbered(1);
  base.family = AF_INET6;
  std::vector<FlowKey> flows(6, base);
  flows[1].client[15] = 1;
  flows[2].local[0] = 1;
  flows[3].scope = 1;
  flows[4].port = 2;
  flows[5].family = AF_INET;
  std::vector<std::unique_ptr<Entry>> entries;
  FlowTable<Entry> table;
  for (const FlowKey& flow : flows) {
    CHECK_FALSE(table.find(flow));
    table.insert(*entries.emplace_back(std::make_unique<Entry>(flow)));
  }
  for (const auto& entry : entries) CHECK(table.find(entry->flow()) == entry.get());
}

TEST_CASE("flow table: an entry may leave while all are visited") {
  std::vector<std::unique_ptr<Entry>> entries;
  FlowTable<Entry> table;
  for (std::uint32_t i = 0; i < 100; ++i) {
    table.insert(*entries.emplace_back(std::make_unique<Entry>(numbered(i))));
  }
  std::set<const Entry*> seen;
  table.for_each([&](Entry& entry) {
    seen.insert(&entry);
    table.erase(entry);
  });
  CHECK(seen.size() == 100);
  CHECK(table.empty());
}

TEST_CASE("flow key: a client's address survives the way there and back") {
  for (const char* const text : {"192.0.2.7:53", "[2001:db8::7]:4711"}) {
    const auto address = *baton::os::SocketAddress::parse(text);
    sockaddr_storage storage{};
    std::memcpy(&storage, address.data(), address.length());
    CHECK(FlowKey::of_client(storage).client_address().text() == text);
  }
}

TEST_CASE("flow key: the seed decides where a flow lands") {
  const FlowKey flow = numbered(7);
  CHECK(flow.hash(1) == flow.hash(1));
  CHECK(flow.hash(1) != flow.hash(2));
  CHECK(flow.hash(1) != numbered(8).hash(1));
}

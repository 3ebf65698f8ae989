#include "proxy/http/filter/http_filter_chain.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proxy/worker/event_loop.h"

using namespace baton;
using namespace baton::proxy;
using namespace baton::proxy::http;

namespace {

// Both ends of a chain: writes down what comes out of it.
struct Ends final : HttpFilterChain::Host {
  ev::loop_ref loop() const override { return const_cast<EventLoop&>(event_loop).ref(); }
  StreamInfo& stream_info() override { return info; }
  RequestHead& request() override { return request_head; }
  ResponseHead& response() override { return response_head; }
  void on_headers_passed(Direction, EndOfStream) override { seen.emplace_back("headers"); }
  void on_data_passed(Direction, Buffer& data, EndOfStream) override {
    seen.emplace_back(data.view());
    data.clear();
  }
  void on_trailers_passed(Direction, HeaderMap&) override { seen.emplace_back("trailers"); }
  void on_chain_full(Direction) override {}
  void on_chain_drained(Direction) override {}
  void on_chain_resumed() override {}
  void reply_locally(const LocalReply&) override {
    chain.begin_local_reply();
    chain.headers(Direction::Encode, EndOfStream::Yes);
  }
  void reset_stream() override {}

  EventLoop event_loop;
  StreamInfo info;
  RequestHead request_head;
  ResponseHead response_head;
  std::vector<std::string> seen;
  HttpFilterChain chain{*this};
};

// A filter that adds its name to what passes, and does what its name says.
class Named final : public HttpFilter {
 public:
  Named(std::string name, std::vector<std::string>& seen) : name_(std::move(name)), seen_(seen) {}

  HttpFilterStatus decode_headers(RequestHead&, EndOfStream) override {
    if (name_ != "answers") return HttpFilterStatus::Continue;
    callbacks().send_local_reply(403, {}, "no");
    return HttpFilterStatus::StopIteration;
  }
  HttpFilterStatus encode_headers(ResponseHead&, EndOfStream) override {
    seen_.push_back(name_ + " head");
    return HttpFilterStatus::Continue;
  }
  HttpFilterStatus encode_data(Buffer& data, EndOfStream) override {
    data.append("-" + name_);
    return name_ == "holds" ? HttpFilterStatus::StopIteration : HttpFilterStatus::Continue;
  }
  HttpFilterStatus encode_trailers(HeaderMap&) override {
    seen_.push_back(name_ + " trailers");
    if (name_ != "adds") return HttpFilterStatus::Continue;
    Buffer rest;
    rest.append("rest");
    callbacks().add_encoded_data(rest);
    return HttpFilterStatus::Continue;
  }
  void go_on() { callbacks().continue_encoding(); }

 private:
  std::string name_;
  std::vector<std::string>& seen_;
};

struct ChainFixture {
  explicit ChainFixture(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      makers.emplace_back([this, name](const RequestHead&) {
        auto filter = std::make_unique<Named>(name, ends.seen);
        filters.push_back(filter.get());
        return filter;
      });
    }
    ends.chain.make(makers, ends.request_head);
  }

  Ends ends;
  std::vector<Named*> filters;
  std::vector<MakeHttpFilter> makers;
};

using Seen = std::vector<std::string>;

}  // namespace

TEST_CASE("http filter chain: a filter's answer passes its own encode side and those ahead of it") {
  ChainFixture fixture({"first", "answers", "behind"});
  fixture.ends.chain.headers(Direction::Decode, EndOfStream::Yes);
  CHECK(fixture.ends.seen == Seen{"answers head", "first head", "headers"});
}

TEST_CASE(
    "http filter chain: what is added at the trailers passes those that follow, before them") {
  ChainFixture fixture({"first", "adds", "behind"});
  HeaderMap trailers;
  fixture.ends.chain.trailers(Direction::Encode, trailers);
  CHECK(fixture.ends.seen ==
        Seen{"behind trailers", "adds trailers", "rest-first", "first trailers", "trailers"});
}

TEST_CASE("http filter chain: trailers wait for what is held, and no filter sees them twice") {
  ChainFixture fixture({"first", "holds", "adds"});
  HeaderMap trailers;
  fixture.ends.chain.headers(Direction::Encode, EndOfStream::No);
  fixture.ends.seen.clear();
  fixture.ends.chain.trailers(Direction::Encode, trailers);
  CHECK(fixture.ends.seen == Seen{"adds trailers"});
  fixture.filters[1]->go_on();
  CHECK(fixture.ends.seen ==
        Seen{"adds trailers", "rest-holds-first", "holds trailers", "first trailers", "trailers"});
}

#include "shared/region/exporters.h"

#include <nlohmann/json.hpp>

#include "shared/region/sample_filter.h"
#include "shared/region/value_text.h"
#include "tests/unit/region/fixture.h"

namespace baton::region {
namespace {

MetricSample sample_of(MetricDescription description, std::uint64_t value) {
  return {.description = std::move(description), .cells = {value}};
}

MetricSample duration_sample() {
  MetricSample sample{.description = histogram("connect_seconds"),
                      .cells = std::vector<std::uint64_t>(kHistogramCells)};
  sample.description.unit = MetricUnit::Microseconds;
  sample.description.labels = label("cluster", "db");
  for (const std::uint64_t value : {15, 16, 1'500'000}) {
    sample.cells[0] += value;
    ++sample.cells[1 + bucket_of(value)];
  }
  return sample;
}

TEST_CASE("prometheus: each family once, samples sorted") {
  std::vector<MetricSample> samples;
  samples.push_back(sample_of(counter("b_total", label("l", "2")), 2));
  samples.push_back(sample_of(gauge("a"), static_cast<std::uint64_t>(-3)));
  samples.push_back(sample_of(counter("b_total", label("l", "1")), 1));
  CHECK(prometheus_text(samples) ==
        "# HELP a For tests.\n"
        "# TYPE a gauge\n"
        "a -3\n"
        "# HELP b_total For tests.\n"
        "# TYPE b_total counter\n"
        "b_total{l=\"1\"} 1\n"
        "b_total{l=\"2\"} 2\n");
}

TEST_CASE("prometheus: histograms are cumulative, in seconds when the name says so") {
  const std::string text = prometheus_text({duration_sample()});
  for (const char* line : {
           "# TYPE connect_seconds histogram\n",
           "connect_seconds_bucket{cluster=\"db\",le=\"0.000015\"} 1\n",
           "connect_seconds_bucket{cluster=\"db\",le=\"0.000031\"} 2\n",
           "connect_seconds_bucket{cluster=\"db\",le=\"1.048575\"} 2\n",
           "connect_seconds_bucket{cluster=\"db\",le=\"2.097151\"} 3\n",
           "connect_seconds_bucket{cluster=\"db\",le=\"+Inf\"} 3\n",
           "connect_seconds_sum{cluster=\"db\"} 1.500031\n",
           "connect_seconds_count{cluster=\"db\"} 3\n",
       }) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("prometheus: labels and help are escaped") {
  MetricSample sample = sample_of(counter("c_total", label("path", "a\"b\\c\nd")), 1);
  sample.description.help = "one\\two\nthree";
  const std::string text = prometheus_text({sample});
  CHECK(text.find("# HELP c_total one\\\\two\\nthree\n") != std::string::npos);
  CHECK(text.find("c_total{path=\"a\\\"b\\\\c\\nd\"} 1\n") != std::string::npos);
}

TEST_CASE("prometheus: a sample of another kind does not spoil its family") {
  const std::string text =
      prometheus_text({sample_of(counter("x", label("a", "1")), 1), sample_of(gauge("x"), 2)});
  CHECK(text.find("# TYPE x gauge\nx 2\n") != std::string::npos);
  CHECK(text.find("a=") == std::string::npos);
}

TEST_CASE("json: labels are an object, quantiles are there, any byte is survived") {
  std::vector<MetricSample> samples{duration_sample()};
  samples.push_back(
      sample_of(counter("c_total", label("a", "x\"y") + "," + label("b", "\xff")), 7));
  const auto json = nlohmann::json::parse(json_text(samples));
  const auto& requests = json["metrics"][0];
  CHECK(requests["name"] == "c_total");
  CHECK(requests["kind"] == "counter");
  CHECK(requests["value"] == 7);
  CHECK(requests["labels"]["a"] == "x\"y");
  CHECK(requests["labels"].contains("b"));
  const auto& connect = json["metrics"][1];
  CHECK(connect["count"] == 3);
  CHECK(connect["sum"].get<double>() == doctest::Approx(1.500031));
  CHECK(connect["p99"].get<double>() == doctest::Approx(1.5).epsilon(0.0625));
}

TEST_CASE("text: one metric a line") {
  CHECK(plain_text({sample_of(counter("c_total", label("a", "b")), 7), duration_sample()}) ==
        "c_total{a=\"b\"} 7\n"
        "connect_seconds{cluster=\"db\"} count=3 sum=1.500031 p50=0.000016 p90=1.507327 "
        "p99=1.507327\n");
}

TEST_CASE("text: times are exact decimals") {
  MetricDescription seconds = counter("cpu_seconds_total");
  seconds.unit = MetricUnit::Microseconds;
  CHECK(value_text(seconds, 0) == "0");
  CHECK(value_text(seconds, 1) == "0.000001");
  CHECK(value_text(seconds, 1'000'000) == "1");
  CHECK(value_text(seconds, 1'250'000) == "1.25");
  CHECK(value_text(seconds, ~std::uint64_t{0}) == "18446744073709.551615");
  seconds.name = "cpu_microseconds";
  CHECK(value_text(seconds, 1'250'000) == "1250000");
}

TEST_CASE("merge: equal names are added, others follow") {
  std::vector<MetricSample> samples{sample_of(counter("a_total"), 1), duration_sample()};
  merge(samples, {sample_of(counter("a_total"), 2), sample_of(counter("b_total"), 3),
                  duration_sample(), sample_of(gauge("b_total"), 9)});
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].cells[0] == 3);
  CHECK(histogram_count(samples[1]) == 6);
  CHECK(samples[2].cells[0] == 3);
}

TEST_CASE("filter: a regular expression on name and labels") {
  const std::vector<MetricSample> samples{
      sample_of(counter("a_total", label("listener", "db")), 1),
      sample_of(counter("a_total", label("listener", "web")), 1), sample_of(gauge("b"), 1)};
  const auto kept = [&](const std::string& pattern) {
    const auto result = filter_samples(samples, pattern);
    return result ? static_cast<int>(result->size()) : -1;
  };
  CHECK(kept("") == 3);
  CHECK(kept("listener=\"db\"") == 1);
  CHECK(kept("^a_total\\{") == 2);
  CHECK(kept("^(a_total.*|b)$") == 3);
  CHECK(kept("nothing") == 0);
}

TEST_CASE("filter: bad expressions are errors, hard ones end") {
  const std::vector<MetricSample> samples{sample_of(counter(std::string(90, 'a')), 1)};
  for (const std::string& pattern :
       {std::string("("), std::string("a{2,1}"), std::string("[z-a]"), std::string("(a)\\1"),
        std::string("a{1000}{1000}{1000}"), std::string(2000, 'a'), std::string(1500, '(')}) {
    CAPTURE(pattern);
    const auto result = filter_samples(samples, pattern);
    REQUIRE_FALSE(result.has_value());
    CHECK_FALSE(result.error().text().empty());
  }
  for (const char* pattern :
       {"(.?){1500}X", "(.?){900}X", "((.?){100}){10}((.?){100}){10}X", "(?=a)"}) {
    CAPTURE(pattern);
    CHECK_FALSE(filter_samples(samples, pattern).has_value());
  }
  for (const char* pattern : {"(a*)*(a*)*(a*)*b", "(.?){400}X", "(a?){50}(a|b){50}[^b]{200}$"}) {
    CAPTURE(pattern);
    const auto hard = filter_samples(samples, pattern);
    REQUIRE(hard.has_value());
    CHECK(hard->empty());
  }
}

TEST_CASE("filter: every byte matches itself, whatever the encoding") {
  const std::vector<MetricSample> samples{
      sample_of(counter("a_total", label("listener", "caf\xc3\xa9 \xff")), 1)};
  for (const char* pattern : {"caf\xc3\xa9", "\xff\"", "f.. ", "(?i)CAF"}) {
    CAPTURE(pattern);
    CHECK(filter_samples(samples, pattern).value().size() == 1);
  }
}

}  // namespace
}  // namespace baton::region

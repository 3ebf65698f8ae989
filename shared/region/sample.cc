#include "shared/region/sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <unordered_map>

namespace baton::region {
namespace {

std::span<const std::uint64_t> buckets_of(const MetricSample& sample) {
  if (sample.cells.size() != kHistogramCells) return {};
  return std::span(sample.cells).subspan(1);
}

}  // namespace

std::string label(std::string_view key, std::string_view value) {
  std::string text(key);
  text += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  text += '"';
  return text;
}

std::string full_name(const MetricDescription& description) {
  if (description.labels.empty()) return description.name;
  return description.name + '{' + description.labels + '}';
}

MetricDescription held_connections_metric() {
  return {.name = "baton_connections_held",
          .help = "Client connections that generations hold now.",
          .kind = MetricKind::Gauge};
}

std::uint64_t histogram_count(const MetricSample& sample) {
  const auto buckets = buckets_of(sample);
  return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

std::uint64_t histogram_quantile(const MetricSample& sample, double quantile) {
  const auto buckets = buckets_of(sample);
  const std::uint64_t count = histogram_count(sample);
  const double wanted = std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count));
  const auto rank = std::max(static_cast<std::uint64_t>(wanted), std::uint64_t{1});
  std::uint64_t seen = 0;
  for (std::uint32_t bucket = 0; bucket < buckets.size(); ++bucket) {
    seen += buckets[bucket];
    if (seen >= rank) return bucket_middle(bucket);
  }
  return 0;
}

void merge(std::vector<MetricSample>& samples, const std::vector<MetricSample>& more) {
  std::unordered_map<std::string, std::size_t> index_of;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    index_of.emplace(full_name(samples[i].description), i);
  }
  for (const MetricSample& sample : more) {
    const auto [known, is_new] = index_of.emplace(full_name(sample.description), samples.size());
    if (is_new) {
      samples.push_back(sample);
      continue;
    }
    MetricSample& target = samples[known->second];
    // The same name with another kind has no meaning as a sum; the first one stands.
    if (target.description.kind != sample.description.kind ||
        target.cells.size() != sample.cells.size()) {
      continue;
    }
    for (std::size_t i = 0; i < target.cells.size(); ++i) target.cells[i] += sample.cells[i];
  }
}

}  // namespace baton::region

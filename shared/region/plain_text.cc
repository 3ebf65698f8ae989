#include <algorithm>
#include <tuple>

#include "shared/region/exporters.h"
#include "shared/region/value_text.h"

namespace baton::region {

void sort_samples(std::vector<MetricSample>& samples) {
  std::ranges::stable_sort(samples, [](const MetricSample& a, const MetricSample& b) {
    return std::tie(a.description.name, a.description.labels) <
           std::tie(b.description.name, b.description.labels);
  });
}

std::string plain_text(std::vector<MetricSample> samples) {
  sort_samples(samples);
  std::string text;
  for (const MetricSample& sample : samples) {
    if (sample.cells.empty()) continue;
    const MetricDescription& description = sample.description;
    text += full_name(description) + ' ';
    if (description.kind == MetricKind::Histogram) {
      const auto quantile = [&](double q) {
        return value_text(description, histogram_quantile(sample, q));
      };
      text += "count=" + std::to_string(histogram_count(sample)) +
              " sum=" + value_text(description, sample.cells[0]) + " p50=" + quantile(0.5) +
              " p90=" + quantile(0.9) + " p99=" + quantile(0.99);
    } else {
      text += value_text(description, sample.cells[0]);
    }
    text += '\n';
  }
  return text;
}

}  // namespace baton::region

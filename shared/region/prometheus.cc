#include <cstddef>
#include <span>
#include <string_view>

#include "shared/region/exporters.h"
#include "shared/region/value_text.h"

namespace baton::region {
namespace {

// 16 microseconds to 19 hours, or 16 bytes to 64 GiB.
constexpr std::uint32_t kFirstBoundLog2 = 4;
constexpr std::uint32_t kLastBoundLog2 = 36;

void append_line(std::string& text, std::string_view name, std::string_view labels,
                 std::string_view value) {
  text += name;
  if (!labels.empty()) {
    text += '{';
    text += labels;
    text += '}';
  }
  text += ' ';
  text += value;
  text += '\n';
}

void append_family(std::string& text, const MetricDescription& description) {
  text += "# HELP " + description.name + ' ';
  for (const char c : description.help) {
    if (c == '\\') {
      text += "\\\\";
    } else if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  text += "\n# TYPE " + description.name + ' ' + kind_text(description.kind) + '\n';
}

std::string with_bound(const std::string& labels, const std::string& bound) {
  return labels + (labels.empty() ? "" : ",") + "le=\"" + bound + '"';
}

void append_histogram(std::string& text, const MetricSample& sample) {
  if (sample.cells.size() != kHistogramCells) return;
  const MetricDescription& description = sample.description;
  const auto buckets = std::span(sample.cells).subspan(1);
  const std::string bucket_name = description.name + "_bucket";
  std::uint64_t cumulative = 0;
  std::uint32_t bucket = 0;
  for (std::uint32_t log2 = kFirstBoundLog2; log2 <= kLastBoundLog2; ++log2) {
    const std::uint64_t bound = std::uint64_t{1} << log2;
    for (; bucket < bucket_of(bound); ++bucket) cumulative += buckets[bucket];
    append_line(text, bucket_name,
                with_bound(description.labels, value_text(description, bound - 1)),
                std::to_string(cumulative));
  }
  const std::string count = std::to_string(histogram_count(sample));
  append_line(text, bucket_name, with_bound(description.labels, "+Inf"), count);
  append_line(text, description.name + "_sum", description.labels,
              value_text(description, sample.cells[0]));
  append_line(text, description.name + "_count", description.labels, count);
}

}  // namespace

std::string prometheus_text(std::vector<MetricSample> samples) {
  sort_samples(samples);
  std::string text;
  const MetricDescription* family = nullptr;
  for (const MetricSample& sample : samples) {
    const MetricDescription& description = sample.description;
    if (sample.cells.empty()) continue;
    if (family == nullptr || family->name != description.name) {
      family = &description;
      append_family(text, description);
    }
    // A family has one type; a sample of another would make the scrape invalid as a whole.
    if (family->kind != description.kind) continue;
    if (description.kind == MetricKind::Histogram) {
      append_histogram(text, sample);
    } else {
      append_line(text, description.name, description.labels,
                  value_text(description, sample.cells[0]));
    }
  }
  return text;
}

}  // namespace baton::region

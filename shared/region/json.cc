#include <nlohmann/json.hpp>

#include <string_view>

#include "shared/region/exporters.h"
#include "shared/region/value_text.h"

namespace baton::region {
namespace {

using Json = nlohmann::ordered_json;

// key="value",key="value" with the escapes that label() writes. What does not parse is left out.
Json labels_json(std::string_view text) {
  Json labels = Json::object();
  while (!text.empty()) {
    const std::size_t open = text.find("=\"");
    if (open == text.npos) break;
    const std::string key(text.substr(0, open));
    std::string value;
    std::size_t i = open + 2;
    for (; i < text.size() && text[i] != '"'; ++i) {
      const bool escaped = text[i] == '\\' && i + 1 < text.size();
      if (escaped) ++i;
      value += escaped && text[i] == 'n' ? '\n' : text[i];
    }
    labels[key] = value;
    if (i + 1 >= text.size() || text[i + 1] != ',') break;
    text.remove_prefix(i + 2);
  }
  return labels;
}

Json number(const MetricDescription& description, std::uint64_t value) {
  if (is_in_seconds(description)) {
    const auto microseconds = description.kind == MetricKind::Gauge
                                  ? static_cast<double>(static_cast<std::int64_t>(value))
                                  : static_cast<double>(value);
    return microseconds / 1e6;
  }
  if (description.kind == MetricKind::Gauge) return static_cast<std::int64_t>(value);
  return value;
}

}  // namespace

std::string json_text(std::vector<MetricSample> samples) {
  sort_samples(samples);
  Json metrics = Json::array();
  for (const MetricSample& sample : samples) {
    if (sample.cells.empty()) continue;
    const MetricDescription& description = sample.description;
    Json metric = {{"name", description.name},
                   {"labels", labels_json(description.labels)},
                   {"kind", kind_text(description.kind)}};
    if (description.kind == MetricKind::Histogram) {
      metric["count"] = histogram_count(sample);
      metric["sum"] = number(description, sample.cells[0]);
      metric["p50"] = number(description, histogram_quantile(sample, 0.5));
      metric["p90"] = number(description, histogram_quantile(sample, 0.9));
      metric["p99"] = number(description, histogram_quantile(sample, 0.99));
    } else {
      metric["value"] = number(description, sample.cells[0]);
    }
    metrics.push_back(std::move(metric));
  }
  // A label may hold any bytes (a path); what is not UTF-8 is replaced, not thrown at.
  return Json{{"metrics", std::move(metrics)}}.dump(2, ' ', false, Json::error_handler_t::replace) +
         '\n';
}

}  // namespace baton::region

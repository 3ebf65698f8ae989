// What a metric is, and the handles through which a worker thread counts.
//
// A handle points at cells of one lane, and a lane has one writer: its thread. So counting is a
// plain relaxed load and store, without a locked instruction; any thread or process may read.
// Thread: a handle belongs to the thread that owns its lane.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "shared/region/histogram.h"

namespace baton::region {

using Cell = std::atomic<std::uint64_t>;
static_assert(sizeof(Cell) == 8 && Cell::is_always_lock_free);

enum class MetricKind : std::uint32_t { Counter = 1, Gauge = 2, Histogram = 3 };
enum class MetricUnit : std::uint32_t { None = 0, Bytes = 1, Microseconds = 2 };

// How many cells a metric has in each lane.
constexpr std::uint32_t cells_of(MetricKind kind) {
  return kind == MetricKind::Histogram ? kHistogramCells : 1;
}

struct MetricDescription {
  std::string name;    // Prometheus: "baton_listener_connections_total"
  std::string labels;  // inside the braces, escaped: listener="db"; empty: none
  std::string help;
  MetricKind kind = MetricKind::Counter;
  MetricUnit unit = MetricUnit::None;
};

// Where a metric's cells are, in every lane. Resolved once, by name, then kept.
struct MetricId {
  std::uint32_t first_cell = 0;
  bool in_process = false;  // the region was full (or has another layout): private memory
};

class Counter {
 public:
  explicit Counter(Cell* cell = nullptr) : cell_(cell) {}
  void add(std::uint64_t n = 1) const {
    cell_->store(cell_->load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }

 private:
  Cell* cell_;
};

// The gauge of a lane may be "negative" (two's complement): only the sum over all lanes has
// meaning.
class Gauge {
 public:
  explicit Gauge(Cell* cell = nullptr) : cell_(cell) {}
  void add(std::int64_t n = 1) const {
    cell_->store(cell_->load(std::memory_order_relaxed) + static_cast<std::uint64_t>(n),
                 std::memory_order_relaxed);
  }
  void sub(std::int64_t n = 1) const { add(-n); }
  void set(std::uint64_t value) const { cell_->store(value, std::memory_order_relaxed); }

 private:
  Cell* cell_;
};

// Cells: the sum of all values, then one count a bucket (shared/region/histogram.h).
class Histogram {
 public:
  explicit Histogram(Cell* cells = nullptr) : cells_(cells) {}
  void record(std::uint64_t value) const {
    Counter(cells_).add(value);
    Counter(cells_ + 1 + bucket_of(value)).add();
  }

 private:
  Cell* cells_;
};

}  // namespace baton::region

#include "supervisor/progress_view.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "shared/os/format.h"

namespace baton::supervisor {
namespace {

constexpr std::uint64_t kBarCells = 30;
constexpr const char* kClearLine = "\r\x1b[K";

}  // namespace

ProgressView::Output ProgressView::detect() {
  return ::isatty(STDOUT_FILENO) ? Output::Terminal : Output::Plain;
}

ProgressView::~ProgressView() {
  if (!drawn_) return;
  std::fputs(kClearLine, stdout);
  std::fflush(stdout);
}

void ProgressView::show(const proto::Progress& progress) {
  if (progress.has_ms()) {
    if (drawn_) std::fputs(kClearLine, stdout);
    drawn_ = false;
    std::fputs(os::format("{:<10} {:>10.1f} ms\n", progress.phase(), progress.ms()).c_str(),
               stdout);
    std::fflush(stdout);
    return;
  }
  if (output_ == Output::Plain) return;
  if (progress.connections_total() == 0) return redraw(os::format("{:<10} ...", progress.phase()));
  redraw(os::format("{:<10} {}", progress.phase(), bar(progress)));
}

std::string ProgressView::bar(const proto::Progress& progress) {
  const std::uint64_t total = progress.connections_total();
  const std::uint64_t gone = total - std::min(progress.connections_left(), total);
  const std::uint64_t cells = total == 0 ? kBarCells : gone * kBarCells / total;
  return os::format("[{:#<{}}{:-<{}}] {} of {} connections moved, {} left", "", cells, "",
                    kBarCells - cells, progress.connections_moved(), total,
                    progress.connections_left());
}

void ProgressView::redraw(const std::string& line) {
  std::fputs((kClearLine + line).c_str(), stdout);
  std::fflush(stdout);
  drawn_ = true;
}

}  // namespace baton::supervisor

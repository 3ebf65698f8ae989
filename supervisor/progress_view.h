// Shows a reload while it happens: a line a phase with its duration, and how far the drain is. In a
// terminal the line of the phase under way is drawn at once and the drain is a bar; elsewhere a
// line appears when its phase has ended.
// Thread: main. Owns: nothing; writes to standard output.
#pragma once

#include <cstdint>
#include <string>

#include "proto/control.pb.h"

namespace baton::supervisor {

class ProgressView {
 public:
  enum class Output { Terminal, Plain };
  // Of standard output.
  static Output detect();

  explicit ProgressView(Output output) : output_(output) {}
  // Takes an unfinished line away.
  ~ProgressView();
  ProgressView(const ProgressView&) = delete;
  ProgressView& operator=(const ProgressView&) = delete;

  void show(const proto::Progress& progress);

  // The drain as text: "[#######-------] 28 of 40 connections moved, 12 left".
  static std::string bar(const proto::Progress& progress);

 private:
  void redraw(const std::string& line);

  Output output_;
  bool drawn_ = false;  // the cursor is behind an unfinished line
};

}  // namespace baton::supervisor

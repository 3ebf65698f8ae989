// Everything the supervisor knows that must outlive it when it replaces itself: plain values, with
// descriptors named by their index in one table. Nothing else in this folder holds anything that
// could not be made again from this (watchers, channels' queues, waiting clients).
//
// Thread: the supervisor's.
// Owns: the descriptors, by way of `fds`; a channel's socket is owned by its Channel.
// Invariants: at most one generation is InCharge and one is Candidate; every index names an open
// descriptor; every pair but `good` and `previous` is used by a generation.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "shared/region/kept_counts.h"
#include "supervisor/control_socket.h"
#include "supervisor/fd_table.h"
#include "supervisor/lifecycle.h"
#include "supervisor/move_count.h"
#include "supervisor/settings.h"
#include "supervisor/socket_key.h"

namespace baton::supervisor {

using PairId = std::uint32_t;
inline constexpr PairId kNoPair = 0;

// A binary and a configuration as they were when asked for: immutable, whatever their paths hold by
// now, so that going back to them brings back exactly what ran.
struct Pair {
  std::string binary_path;
  FdIndex binary = kNoFd;
  std::string config_path;  // empty: the generation's built-in configuration
  FdIndex config = kNoFd;   // sealed memory file; kNoFd with an empty path
  SettingsLayer settings;   // its [supervisor] table
  std::vector<std::string> settings_errors;
  std::uint64_t generation = 0;  // the last one in charge that ran it; 0: none yet
  std::string version;           // what that one said
  bool crashes = false;          // its last one in charge died soon after it served

  // "/usr/libexec/baton/proxy with /etc/baton.toml".
  std::string files() const;
  // The same with generation and version: the paths of two pairs may well be equal.
  std::string text() const;
};

enum class Role : std::uint8_t {
  Candidate,  // starting, or serving on probation
  InCharge,   // serving, or paused while a candidate is on probation
  Draining,   // committed away; ends on its own, or at its deadline
  Dying,      // killed, not yet reaped
};

enum class Phase : std::uint8_t {
  Starting,  // the process runs, no word from it yet
  Negotiating,
  Inheriting,
  Warming,
  Ready,
  Serving,
  Paused,
  Draining,
};

struct GenerationRecord {
  std::uint64_t id = 0;
  Role role = Role::Candidate;
  Phase phase = Phase::Starting;
  pid_t pid = -1;
  std::string identity;  // os::process_identity(): tells it from a later process of that pid
  std::string token;     // secret: with it, it proves who it is when it comes back
  FdIndex pidfd = kNoFd;
  int channel_fd = -1;                 // the Channel's own
  std::uint32_t channel_requests = 0;  // how many ids were given on it; at an exec only
  PairId pair = kNoPair;
  std::uint32_t region_slot = 0;
  bool shares_region = false;
  std::string version;
  std::vector<std::string> features;   // proto/negotiation.h
  std::vector<SocketKey> keys;         // every address it listens on, from Ready on
  std::vector<std::string> listeners;  // for `status`
  double started = 0;                  // seconds since the epoch, as all times here
  std::optional<double> serving_since;
  std::optional<double> draining_since;
  std::optional<double> drain_deadline;
  std::uint64_t drain_total = 0;                // connections held when its drain began
  std::optional<DrainStrategy> drain_strategy;  // of its drain; unknown: another release began it
  bool last_call = false;  // its drain ends at once, or nearly so: it is given no more time
  // What it has reported of gauges by RPC, by cell: taken back when it ends.
  std::map<std::uint32_t, std::int64_t> reported_gauges;

  bool has(std::string_view feature) const;
};

// What one that comes back all the same would show.
struct PresumedEnded {
  std::uint64_t generation = 0;
  pid_t pid = -1;
  std::string token;
};

// What tells a file from another as long as both are open.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};

FileId file_id(int fd);  // of nothing, if it is not open
os::Result<FileId> file_at(const std::string& path);

// As EscrowEntry::added_by: no generation, but the service manager (activation.h).
inline constexpr std::uint64_t kActivated = 0;

struct EscrowEntry {
  SocketKey key;
  std::uint32_t index = 0;  // worker i of M serves i, i+M, i+2M...
  FdIndex fd = kNoFd;
  std::uint64_t added_by = 0;  // generation, or kActivated
  // Of a unix socket's path, which a bound socket keeps from being used again; unknown: the service
  // manager has made it, or its generation has brought it back.
  std::optional<FileId> file = std::nullopt;

  // The escrow's order; no two entries share a key and an index.
  friend bool operator<(const EscrowEntry& a, const EscrowEntry& b) {
    return std::tie(a.key, a.index) < std::tie(b.key, b.index);
  }
};

struct PhaseTime {
  std::string name;
  double ms = 0;
};

struct LastReload {
  bool ok = false;
  bool rolled_back = false;
  std::uint64_t from = 0;  // generation; 0: none was in charge
  std::uint64_t to = 0;    // 0: none was started
  std::string reason;
  std::vector<PhaseTime> phases;
  MoveTotals before;           // when it began
  std::optional<Moves> moves;  // when the generation before had ended
};

// A connection of the command line that is kept while the supervisor replaces itself, and the
// request that waits on it, if one has been read.
struct WaitingClient {
  int fd = -1;  // its connection
  std::uint16_t kind = 0;
  std::uint32_t request = 0;     // 0: none
  std::uint64_t generation = 0;  // whose drain it waits for; 0: it asked for the upgrade
};

struct LogSettings {
  std::string level = "info";
  std::string format = "text";
};

// What the command line of `run` names.
struct StartPaths {
  std::string binary;
  std::string config;  // empty: the built-in one
  friend bool operator==(const StartPaths&, const StartPaths&) = default;
};

struct SupervisorState {
  double started = 0;
  LogSettings log;
  lifecycle::State life;
  std::uint64_t next_generation = 1;
  PairId next_pair = 1;
  PairId good = kNoPair;       // of the generation in charge: what a crash is answered with
  PairId previous = kNoPair;   // what `rollback` goes back to
  SettingsLayer flags;         // of the command line of `run`: they win over the configuration
  SettingsLayer reload_flags;  // of the reload under way, or the last one: they win over both
  std::string program;  // where the supervisor was started from; empty: the one before did not say
  std::optional<StartPaths> start_paths;  // unknown: the one before did not say
  // What a reload takes unless told otherwise, where that is not what runs: the command line names
  // other paths than that of the supervisor before, whose generation goes on.
  std::optional<StartPaths> next_paths;
  FdTable fds;
  ControlSocket control;
  std::map<PairId, Pair> pairs;
  std::map<std::uint64_t, GenerationRecord> generations;
  std::vector<EscrowEntry> escrow;  // by key, then index
  int region_fd = -1;               // the Region's own
  std::uint64_t region_layout = 0;
  // Reported metrics that the region has no room for. They change without a new revision: what the
  // last seconds have added is lost with a supervisor that is killed.
  region::KeptMetrics kept_metrics;
  FdIndex memory = kNoFd;                // StateMemory, if the service manager is to keep it
  std::map<std::string, FileId> stored;  // what the service manager keeps, by name
  // Of this process only: addresses of sockets which the manager kept until this process began,
  // although nothing named them any more. It closes them when it gets to it, and does not say when.
  std::vector<SocketKey> left_behind;
  // Of this process only: the state that it goes on from, encoded; empty: it began anew, or an exec
  // has brought it.
  std::string adopted;
  // Of this process only: those that are taken for ended since their process is not to be found.
  std::vector<PresumedEnded> presumed_ended;
  // Slots of crashed generations whose metrics wait for the replacement to take them over.
  std::vector<std::uint32_t> orphaned_slots;
  std::optional<LastReload> last_reload;
  std::string note;  // what an operator should know: that a crash loop was ended by falling back
  std::vector<WaitingClient> clients;  // at an exec only
  std::string version;                 // of the supervisor that wrote it down
  // Grows with every change that a supervisor after this one must know of.
  std::uint64_t revision = 1;
  void touch() { ++revision; }
};

// Seconds since the epoch.
double now();

// `state` of section "generations" in `status`: starting, ready, serving, paused, draining, exited.
std::string_view status_name(const GenerationRecord& generation);
// What a generation was doing when it failed: "while warming", "in probation".
std::string_view doing(const GenerationRecord& generation);

}  // namespace baton::supervisor

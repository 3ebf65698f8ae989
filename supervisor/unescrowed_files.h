// The files of unix sockets that a generation makes before the escrow has the sockets: whoever is
// killed in between leaves them behind.
//
// Thread: the supervisor's. Owns: nothing; it knows addresses.
// Invariant: an address is expected of one generation, the last that is about to bind it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "supervisor/state.h"

namespace baton::supervisor {

struct SocketFile {
  FileId id;
  std::pair<std::int64_t, std::int64_t> changed;  // numbers of files are given out again: ctime
  friend bool operator==(const SocketFile&, const SocketFile&) = default;
};

class UnescrowedFiles {
 public:
  // A generation is about to bind this unix address, unless somebody else has it. One that was to
  // do so before, and is being killed, leaves its file to this one.
  void expect(const std::string& address, std::uint64_t generation);
  // The escrow has the socket, and removes its file when the time comes.
  void escrowed(const std::string& address) { expected_.erase(address); }
  // The process of the generation has ended: removes the files it has made. A file that was there
  // before stays, and so does one whose socket listens, has room for nobody, or is not a stream's.
  void remove_those_of(std::uint64_t generation);
  // It has served, so what it has made is in the escrow.
  void forget_those_of(std::uint64_t generation);

 private:
  struct Expected {
    std::uint64_t generation = 0;
    std::optional<SocketFile> before;  // the socket that was there
  };
  std::map<std::string, Expected> expected_;
};

}  // namespace baton::supervisor

// The state as it is kept: in a file, and in memory that a service manager holds.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "supervisor/state_file.h"
#include "supervisor/state_memory.h"
#include "temporary_directory.h"

namespace baton::supervisor {
namespace {

struct Kept {
  TemporaryDirectory directory;
  std::string path = state_file_path(directory / "control.sock");
};

std::string state_with(const std::string& note, std::uint64_t sequence) {
  SupervisorState state;
  state.note = note;
  return encode_state(state, sequence);
}

TEST_CASE("state file: what is written is read, by its owner only") {
  Kept kept;
  REQUIRE(write_state_file(kept.path, "first and longer"));
  REQUIRE(write_state_file(kept.path, "second"));
  CHECK(read_state_file(kept.path).value() == "second");
  struct stat status{};
  REQUIRE(::stat(kept.path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  CHECK_FALSE(std::filesystem::exists(kept.path + ".new"));
}

TEST_CASE("state file: none is no error") {
  Kept kept;
  CHECK(read_state_file(kept.path).value() == std::nullopt);
}

TEST_CASE("state file: one that others could have written is refused") {
  Kept kept;
  REQUIRE(write_state_file(kept.path, "state"));
  ::chmod(kept.path.c_str(), 0620);
  CHECK_FALSE(read_state_file(kept.path));
}

TEST_CASE("state file: a link is not followed, neither to read nor to write") {
  Kept kept;
  std::ofstream(kept.directory / "elsewhere") << "mine";
  std::filesystem::create_symlink(kept.directory / "elsewhere", kept.path);
  CHECK_FALSE(read_state_file(kept.path));
  REQUIRE(write_state_file(kept.path, "state"));
  CHECK(std::filesystem::is_regular_file(std::filesystem::symlink_status(kept.path)));
  std::string text;
  std::ifstream(kept.directory / "elsewhere") >> text;
  CHECK(text == "mine");
}

TEST_CASE("state file: one that cannot be replaced is written over, a longer one by a shorter") {
  Kept kept;
  REQUIRE(write_state_file(kept.path, state_with("the longer one of them", 1)));
  std::filesystem::create_directories(kept.path + ".new/in the way");
  for (const char* note : {"next", "the longest one, after all"}) {
    REQUIRE(write_state_file(kept.path, state_with(note, 2)));
    CHECK(decode_state(*read_state_file(kept.path).value())->state.note == note);
  }
}

TEST_CASE("state file: what cannot be replaced and is not ours alone is left as it is") {
  Kept kept;
  REQUIRE(write_state_file(kept.path, "before"));
  ::chmod(kept.path.c_str(), 0644);
  std::filesystem::create_directories(kept.path + ".new/in the way");
  CHECK_FALSE(write_state_file(kept.path, "secret"));
  std::string text;
  std::ifstream(kept.path) >> text;
  CHECK(text == "before");
}

TEST_CASE("state file: it has room to grow where it is") {
  Kept kept;
  REQUIRE(write_state_file(kept.path, "state"));
  struct stat status{};
  REQUIRE(::stat(kept.path.c_str(), &status) == 0);
  CHECK(status.st_size == 5);
  CHECK(status.st_blocks * 512 > 4096);
}

TEST_CASE("state file: one that is set aside is where the next one does not replace it") {
  Kept kept;
  REQUIRE(write_state_file(kept.path, "damaged"));
  REQUIRE(set_state_file_aside(kept.path));
  CHECK(read_state_file(kept.path).value() == std::nullopt);
  REQUIRE(write_state_file(kept.path, "next"));
  CHECK(read_state_file(unusable_state_path(kept.path)).value() == "damaged");
}

TEST_CASE("state memory: the latest one is read, also after another has gone on with it") {
  const os::UniqueFd fd = create_state_memory().value();
  CHECK_FALSE(read_state_memory(fd.get()));
  for (std::uint64_t sequence = 1; sequence <= 6; ++sequence) {
    StateMemory memory(fd.get());
    REQUIRE(memory.write(state_with("note " + std::to_string(sequence), sequence)));
    CHECK(read_state_memory(fd.get())->state.note == "note " + std::to_string(sequence));
  }
}

TEST_CASE("state memory: one that was cut off while being written gives the one before") {
  const os::UniqueFd fd = create_state_memory().value();
  StateMemory memory(fd.get());
  REQUIRE(memory.write(state_with("first", 1)));
  REQUIRE(memory.write(state_with("second", 2)));
  const std::string third = state_with("third", 3);
  REQUIRE(memory.write(third.substr(0, 40)));
  CHECK(read_state_memory(fd.get())->state.note == "second");
  // What follows goes on in its place, not in that of the good one.
  StateMemory next(fd.get());
  REQUIRE(next.write(third.substr(0, 40)));
  CHECK(read_state_memory(fd.get())->state.note == "second");
}

TEST_CASE("state memory: of a later release and this one, it is the later release's") {
  for (const int place : {0, 1}) {
    const os::UniqueFd fd = create_state_memory().value();
    StateMemory memory(fd.get());
    for (int i = 0; i < 2; ++i) {
      std::string state = state_with("note", 7);
      if (i == place) ++state[4];  // the format's version
      REQUIRE(memory.write(state));
    }
    const auto read = read_state_memory(fd.get());
    REQUIRE_FALSE(read);
    CHECK(read.error().code == StateError::Code::Future);
  }
}

}  // namespace
}  // namespace baton::supervisor

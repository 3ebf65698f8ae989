#include "supervisor/unescrowed_files.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "temporary_directory.h"

namespace baton::supervisor {
namespace {

struct Place {
  TemporaryDirectory directory;
  std::string path = directory / "a.sock";
  std::string address = "unix:" + path;
  UnescrowedFiles files;

  // Binds there, as a generation does: what nobody has any more goes first.
  os::UniqueFd bind(int type = SOCK_STREAM) const {
    std::filesystem::remove(path);
    os::UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    sockaddr_un name{.sun_family = AF_UNIX};
    REQUIRE(path.size() < sizeof name.sun_path);
    std::memcpy(name.sun_path, path.data(), path.size());
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    return fd;
  }
  bool is_there() const { return std::filesystem::exists(std::filesystem::symlink_status(path)); }
};

TEST_CASE("unescrowed files: those of a generation that has ended are removed") {
  Place place;
  place.files.expect(place.address, 2);
  place.bind();
  place.files.remove_those_of(1);
  CHECK(place.is_there());
  place.files.remove_those_of(2);
  CHECK_FALSE(place.is_there());
}

TEST_CASE("unescrowed files: what was there before stays, and so does what the escrow has") {
  Place place;
  const os::UniqueFd first = place.bind();  // open: its file's number is not given again
  place.files.expect(place.address, 2);
  place.files.remove_those_of(2);
  CHECK(place.is_there());
  place.files.expect(place.address, 3);
  place.bind();
  place.files.escrowed(place.address);
  place.files.remove_those_of(3);
  CHECK(place.is_there());
}

TEST_CASE("unescrowed files: what listens, is of another type or no socket is somebody's") {
  Place place;
  os::UniqueFd fd;
  place.files.expect(place.address, 2);
  SUBCASE("it listens") {
    fd = place.bind();
    REQUIRE(::listen(fd.get(), 1) == 0);
  }
  SUBCASE("it takes datagrams") { fd = place.bind(SOCK_DGRAM); }
  SUBCASE("a file") { std::ofstream(place.path) << "kept"; }
  SUBCASE("a link to one that nobody has") {
    place.bind();
    std::filesystem::rename(place.path, place.directory / "b.sock");
    std::filesystem::create_symlink(place.directory / "b.sock", place.path);
  }
  place.files.remove_those_of(2);
  CHECK(place.is_there());
}

TEST_CASE("unescrowed files: the next one that binds there has the file, whoever has made it") {
  Place place;
  place.files.expect(place.address, 2);
  const os::UniqueFd of_2 = place.bind();
  place.files.expect(place.address, 3);  // while 2 is being killed
  SUBCASE("it has bound again when 2 has ended") {
    const os::UniqueFd of_3 = place.bind();
    place.files.remove_those_of(2);
    CHECK(place.is_there());
  }
  SUBCASE("it has not bound yet") { place.files.remove_those_of(2); }
  place.files.remove_those_of(3);
  CHECK_FALSE(place.is_there());
}

TEST_CASE("unescrowed files: who has served leaves none") {
  Place place;
  place.files.expect(place.address, 2);
  place.bind();
  place.files.forget_those_of(2);
  place.files.remove_those_of(2);
  CHECK(place.is_there());
}

TEST_CASE("unescrowed files: other addresses have none") {
  UnescrowedFiles files;
  for (const char* address : {"127.0.0.1:1", "unix:@name", ""}) files.expect(address, 2);
  files.remove_those_of(2);
}

}  // namespace
}  // namespace baton::supervisor

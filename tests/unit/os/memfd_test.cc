#include "shared/os/memfd.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

using namespace baton::os;

TEST_CASE("memfd: bytes read back as they were written, from any offset") {
  for (const std::string& bytes :
       {std::string(), std::string("x"), std::string("a\0b", 3), std::string(100'000, 'y')}) {
    const auto fd = create_sealed_memfd("test", bytes);
    REQUIRE(fd);
    CHECK((::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
    ::lseek(fd->get(), 1, SEEK_SET);
    const auto read = read_sealed_memfd(fd->get(), bytes.size());
    REQUIRE(read);
    CHECK(*read == bytes);
  }
}

TEST_CASE("memfd: a sealed one can be changed in no way") {
  const auto fd = create_sealed_memfd("test", "content");
  REQUIRE(fd);
  CHECK(::pwrite(fd->get(), "x", 1, 0) == -1);
  CHECK(::ftruncate(fd->get(), 1) == -1);
  CHECK(::ftruncate(fd->get(), 100) == -1);
  CHECK(::mmap(nullptr, 1, PROT_WRITE, MAP_SHARED, fd->get(), 0) == MAP_FAILED);
  CHECK(::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_SHRINK) == -1);
}

TEST_CASE("memfd: larger than the limit is refused, just as large is not") {
  const auto fd = create_sealed_memfd("test", std::string(20'000, 'x'));
  REQUIRE(fd);
  CHECK(read_sealed_memfd(fd->get(), 20'000));
  const auto refused = read_sealed_memfd(fd->get(), 19'999);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text() == "larger than 19999 bytes: memfd");
}

TEST_CASE("memfd: one that a peer could still change is refused") {
  constexpr int kAll = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, kAll}) {
    CAPTURE(missing);
    const UniqueFd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(::fcntl(fd.get(), F_ADD_SEALS, kAll & ~missing) == 0);
    CHECK_FALSE(read_sealed_memfd(fd.get(), 100));
    REQUIRE(::fcntl(fd.get(), F_ADD_SEALS, missing) == 0);
    CHECK(read_sealed_memfd(fd.get(), 100));
  }
}

TEST_CASE("memfd: what is none is refused") {
  int pipe_fds[2];
  REQUIRE(::pipe2(pipe_fds, O_CLOEXEC) == 0);
  const UniqueFd reader(pipe_fds[0]);
  const UniqueFd writer(pipe_fds[1]);
  const UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  CHECK_FALSE(read_sealed_memfd(reader.get(), 100));
  CHECK_FALSE(read_sealed_memfd(file.get(), 100));
  CHECK_FALSE(read_sealed_memfd(-1, 100));
}

TEST_CASE("read file: content, limit, and what cannot be read") {
  char path[] = "/tmp/baton_memfd_test_XXXXXX";
  const UniqueFd file(::mkostemp(path, O_CLOEXEC));
  REQUIRE(file.valid());
  REQUIRE(::write(file.get(), "hello", 5) == 5);
  CHECK(read_file(path, 5) == std::string("hello"));
  CHECK_FALSE(read_file(path, 4));
  REQUIRE(::unlink(path) == 0);
  CHECK(read_file(path, 5).error().code == ENOENT);
  CHECK(read_file("/", 5).error().text() == "read /: Is a directory");
  CHECK(read_file("/dev/zero", 1000).error().text() == "is not a regular file: /dev/zero");
}

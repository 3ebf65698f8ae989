// What a program started by spawn() finds, for process_test. Usage: spawn_probe FD WORD...
//   report   writes to FD each open descriptor from 3 up ("fd 5 DEVICE INODE"), blocked or ignored
//            signals ("blocked 15", "ignored 13") and "leads" when it leads its process group
//   exit N   exits with status N
//   kill N   sends itself signal N
//   wait     waits until it is killed
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void report(int out) {
  DIR* listing = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(listing)) {
    const int fd = atoi(entry->d_name);
    struct stat status;
    if (fd < 3 || fd == dirfd(listing) || fstat(fd, &status) != 0) continue;
    dprintf(out, "fd %d %ju %ju\n", fd, static_cast<uintmax_t>(status.st_dev),
            static_cast<uintmax_t>(status.st_ino));
  }
  closedir(listing);
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, nullptr, &blocked);
  for (int number = 1; number < 32; ++number) {
    struct sigaction action;
    if (sigismember(&blocked, number) == 1) dprintf(out, "blocked %d\n", number);
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
      dprintf(out, "ignored %d\n", number);
    }
  }
  if (getpgrp() == getpid()) dprintf(out, "leads\n");
}

int main(int argc, char** argv) {
  const int out = argc > 1 ? atoi(argv[1]) : -1;
  for (int i = 2; i < argc; ++i) {
    if (strcmp(argv[i], "report") == 0) report(out);
    if (strcmp(argv[i], "exit") == 0) return atoi(argv[++i]);
    if (strcmp(argv[i], "kill") == 0) raise(atoi(argv[++i]));
    if (strcmp(argv[i], "wait") == 0) pause();
  }
  return 0;
}

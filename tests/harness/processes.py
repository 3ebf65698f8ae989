"""What the kernel says of processes, by /proc."""

import ctypes
import os
import re
import signal

from .waiting import wait_until

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """Orphans of what we start become our children, so that a test can find them."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _stat(pid):
    """(state, parent) or None. The name, in brackets, may hold anything."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (fields[0].decode(), int(fields[1])) if fields else None


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    return [p for p in all_pids() if (_stat(p) or ("", 0))[1] == pid]


def is_zombie(pid):
    return (_stat(pid) or ("", 0))[0] == "Z"


def is_alive(pid):
    """Until the last of its threads has ended: only then its descriptors are closed."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any((_stat(f"{pid}/task/{each}") or ("Z", 0))[0] not in "ZX" for each in threads)


def marked(marker):
    """Processes whose initial environment holds this NAME=value, zombies left out."""
    wanted = marker.encode()
    return [p for p in all_pids() if wanted in _read(f"/proc/{p}/environ").split(b"\0")]


def rss_bytes(pid):
    for line in _read(f"/proc/{pid}/status").decode().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def private_bytes(pid):
    """Memory that ends with the process: its shared mappings and program files are not in it.

    Clean pages are the program's, and private to whoever happens to be the last to run it.
    """
    total = 0
    for line in _read(f"/proc/{pid}/smaps_rollup").decode().splitlines():
        if line.startswith("Private_Dirty"):
            total += int(line.split()[1]) * 1024
    return total


def fds(pid):
    """fd -> what it is, "socket:[123]" or a path."""
    result = {}
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                result[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                pass
    except FileNotFoundError:
        pass
    return result


def watched_sockets(pid):
    """For each of its epoll sets, in no order: the inodes of the sockets in it."""
    result, links = [], fds(pid)
    for fd, link in links.items():
        if link != "anon_inode:[eventpoll]":
            continue
        watched = re.findall(rb"^tfd:\s+(\d+)", _read(f"/proc/{pid}/fdinfo/{fd}"), re.M)
        names = (re.fullmatch(r"socket:\[(\d+)\]", links.get(int(each), "")) for each in watched)
        result.append({int(name[1]) for name in names if name})
    return result


def threads(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except FileNotFoundError:
        return 0


def cpu_seconds(pid):
    """On-CPU time of all its threads that live, to the nanosecond."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            fields = _read(f"/proc/{pid}/task/{thread}/schedstat").split()
            total += int(fields[0]) if fields else 0
    except FileNotFoundError:
        pass
    return total / 1e9


def suspend(pid):
    """SIGSTOP, and waits until each of its threads has noticed."""
    os.kill(pid, signal.SIGSTOP)

    def all_stopped():
        return all((_stat(f"{pid}/task/{thread}") or "Z")[0] in "TZX"
                   for thread in os.listdir(f"/proc/{pid}/task"))

    wait_until(all_stopped, 5, f"process {pid} is stopped")


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def context_switches(pid):
    """How often the threads of a process have gone to sleep of their own accord."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        status = _read(f"/proc/{pid}/task/{task}/status")
        total += int(re.search(rb"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])
    return total

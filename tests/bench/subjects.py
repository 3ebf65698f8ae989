"""The three relays measured side by side, one worker each, and how their figures are shown.

A subject is a context manager with .address and .pids(); only its relaying processes count.
"""

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import load, processes  # noqa: E402
from harness.baton import PROXY, Baton  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.programs import HAProxy, Nginx  # noqa: E402
from harness.tables import relay  # noqa: E402

CPUS = sorted(os.sched_getaffinity(0))
PROXY_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
BURST_SECONDS = 0.15


def on_cpu(number):
    return ["taskset", "-c", str(number)]


class BatonSubject:
    name = "Baton"

    protocol = "tcp"

    def __init__(self, upstream, connections):
        self.address = f"127.0.0.1:{free_port()}"
        # The supervisor's state is where a service's is: in memory. (In a container /run may be on a disk.)
        self.directory = tempfile.mkdtemp(prefix="baton-bench-", dir="/dev/shm")
        tables = relay(self.address, upstream, workers=1, listener={"protocol": self.protocol})
        self.baton = Baton(self.directory, tables, proxy=PROXY,
                           wrapper=on_cpu(PROXY_CPU), arguments=["--log-level", "warning"])

    def pids(self):
        return [self.baton.in_charge()["pid"]]

    def __enter__(self):
        self.baton.start()
        return self

    def __exit__(self, *_):
        self.baton.stop("--now")
        shutil.rmtree(self.directory)


class Pinned:
    """A server of tests/harness/programs.py, on the proxies' CPU."""

    def __enter__(self):
        return self.start(prefix=on_cpu(PROXY_CPU))


class NginxSubject(Pinned, Nginx):
    name = "nginx stream"

    def __init__(self, upstream, connections):
        super().__init__(relay_to=upstream, connections=4 * connections + 64)


class HAProxySubject(Pinned, HAProxy):
    name = "HAProxy"

    def __init__(self, upstream, connections):
        super().__init__(relay_to=upstream, connections=2 * connections + 64)


class BatonHttpSubject(BatonSubject):
    protocol = "http"


class NginxHttpSubject(Pinned, Nginx):
    name = "nginx"

    def __init__(self, upstream, connections):
        super().__init__(proxy_to=upstream, connections=4 * connections + 64)


class HAProxyHttpSubject(Pinned, HAProxy):
    name = "HAProxy"

    def __init__(self, upstream, connections):
        # Beyond a quarter of the descriptors that its limit is for, it keeps no idle connection.
        super().__init__(relay_to=upstream, connections=min(9000, 8 * connections + 1024), mode="http")


SUBJECTS = [BatonSubject, NginxSubject, HAProxySubject]
HTTP_SUBJECTS = [BatonHttpSubject, NginxHttpSubject, HAProxyHttpSubject]


class PinnedNginx(Nginx):
    """An HTTP upstream beside the load generator."""

    def __enter__(self):
        return self.start(prefix=on_cpu(LOAD_CPU))


def cpu_seconds(subject_pids):
    return sum(processes.cpu_seconds(pid) for pid in subject_pids)


def cpu_per_request(kinds, connections, options):
    """name -> microseconds of CPU a request with a small body, one figure a round.

    Every subject has a wrk of its own, with its connections kept open, and in a round they run in
    bursts, one after the other: what the machine does besides is the same for all, which it is not
    for seconds on end. A stopped wrk costs its subject nothing.
    """
    rounds, bursts = (3, 8) if options.quick else (9, 20)
    samples = {kind.name: [] for kind in kinds}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(PinnedNginx())
        running = [stack.enter_context(kind(upstream.address, connections)) for kind in kinds]
        for _ in range(rounds):
            for name, figure in _round_in_bursts(running, connections, bursts).items():
                samples[name].append(figure)
    return samples


def _round_in_bursts(running, connections, bursts):
    with contextlib.ExitStack() as stack:
        pairs = []
        for subject in running:
            wrk = stack.enter_context(load.Wrk(subject.address, connections=connections, seconds=600,
                                               command=on_cpu(LOAD_CPU)))
            pids = subject.pids()
            used = cpu_seconds(pids)
            processes.suspend(wrk.process.pid)
            pairs.append((subject, wrk, pids, used))
        figures = {}
        for number in range(bursts):
            for subject, wrk, pids, used in in_turn(pairs, number):
                processes.kill(wrk.process.pid, signal.SIGCONT)
                time.sleep(BURST_SECONDS)  # it is what is measured
                if number + 1 < bursts:
                    processes.suspend(wrk.process.pid)
                    continue
                result = wrk.finish()
                assert not result.failed(), result.text
                figures[subject.name] = (cpu_seconds(pids) - used) / result.requests * 1e6
        return figures


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    return parser.parse_args()


def in_turn(items, number):
    """The same items, beginning with another one each round, so that none always follows the same."""
    start = number % len(items)
    return items[start:] + items[:start]


def show(title, unit, samples, *, less_is_better=True, digits=2):
    """samples: name -> one figure a round. Ratios are of Baton to the better rival, round by round."""
    print(f"{title} ({unit}, {'less' if less_is_better else 'more'} is better)")
    width = max(map(len, samples))
    rivals = [name for name in samples if name != BatonSubject.name]
    for name, figures in samples.items():
        line = (f"  {name:<{width}}  median {statistics.median(figures):8.{digits}f}   "
                f"from {min(figures):.{digits}f} to {max(figures):.{digits}f}")
        if name == BatonSubject.name and rivals:
            best = min if less_is_better else max
            ratios = [mine / best(samples[rival][i] for rival in rivals) for i, mine in enumerate(figures)]
            line += f"   {statistics.median(ratios):.2f} x the better of the others"
        print(line)

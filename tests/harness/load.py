"""Load that notices everything: each connection is counted, checked and timed."""

import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

from . import sockets
from .waiting import wait_until


@dataclass
class Tally:
    completed: int = 0
    failures: list = field(default_factory=list)  # (stage, exception)
    slowest: float = 0.0
    lost_handshakes: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0

    def refused(self):
        return [f for f in self.failures if isinstance(f[1], ConnectionRefusedError)]


class ShortClients:
    """Threads that connect, send a line, read the answer up to its end, close, and begin again.

    For upstreams.answer_one_line. When it is told to stop each client finishes what it is at, so
    that what it counted is exactly what Baton must have counted.
    """

    def __init__(self, address, clients=8):
        self.address = address
        self.total = Tally()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop, args=(i,), daemon=True)
                         for i in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * sockets.PATIENCE)
        return self.total

    def completed(self):
        with self._lock:
            return self.total.completed

    def wait_for_more(self, count, seconds=20):
        """Until so many further connections have been completed."""
        goal = self.completed() + count
        wait_until(lambda: self.completed() >= goal, seconds,
                   lambda: f"{count} further connections; failures: {self.total.failures[:5]}")

    def _loop(self, number):
        round_number = 0
        while not self._stop.is_set():
            round_number += 1
            line = f"client {number} round {round_number}\n".encode()
            begin, stage, failure, answer = time.monotonic(), "connect", None, b""
            lost = False
            try:
                with sockets.connect(self.address) as client:
                    stage, lost = "send", sockets.was_asked_twice(client)
                    client.sendall(line)
                    stage = "receive"
                    answer = sockets.read_all(client)
                stage = "compare"
                assert answer == b"answer to " + line, answer
            except (OSError, AssertionError) as error:
                failure = error
            with self._lock:
                if failure is None:
                    self.total.completed += 1
                    self.total.sent_bytes += len(line)
                    self.total.received_bytes += len(answer)
                else:
                    self.total.failures.append((stage, failure))
                self.total.slowest = max(self.total.slowest, time.monotonic() - begin)
                self.total.lost_handshakes += lost


@dataclass
class WrkResult:
    requests: int
    socket_errors: str  # empty: none
    bad_statuses: int
    text: str

    def failed(self):
        return bool(self.socket_errors) or self.bad_statuses > 0


class Wrk:
    """wrk(1) in the background, against http://ADDRESS/."""

    def __init__(self, address, connections=64, threads=1, seconds=240, close=False, command=(), path="/"):
        self.arguments = [*command, "wrk", f"-c{connections}", f"-t{threads}", f"-d{seconds}s",
                          "--timeout", "10s", "--latency"]
        if close:
            self.arguments += ["-H", "Connection: close"]
        self.arguments.append(f"http://{address}{path}")
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.arguments, text=True, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def finish(self, early=True, seconds=150):
        """Ends it, early or when its time is over, and says what it saw."""
        assert self.process.poll() is None or not early, self.process.communicate()[0]
        if early:
            self.process.send_signal(signal.SIGINT)
        text, _ = self.process.communicate(timeout=seconds)
        requests = re.search(r"(\d+) requests in", text)
        assert requests, text
        errors = re.search(r"Socket errors: (.*)", text)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        return WrkResult(int(requests[1]), errors[1] if errors else "", int(bad[1]) if bad else 0, text)

"""Datagrams: clients and servers that never wait for ever."""

import contextlib
import itertools
import re
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field

from . import sockets
from .ports import free_port

PATIENCE = 20.0


def connect(address, source=None):
    """A client's socket, connected, so that only replies from that very address reach it."""
    family, target = sockets.parse(address)
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.settimeout(PATIENCE)
    if source:
        client.bind(sockets.parse(source)[1])
    client.connect(target)
    return client


def ask(client, datagram, seconds=None):
    """One round trip with an echoing upstream; None: no answer within that time."""
    client.settimeout(seconds or PATIENCE)
    client.send(datagram)
    try:
        return client.recv(1 << 16)
    except TimeoutError:
        if seconds is None:
            raise
        return None


def is_refused(address):
    """Whether the machine says that nobody is there."""
    with connect(address) as client:
        client.settimeout(0.5)
        try:
            client.send(b"?")
            client.recv(1 << 16)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            pass
        return False


def echo(datagram):
    return [datagram]


class UdpUpstream:
    """`answer`: bytes -> the datagrams to send back. Remembers who has asked, in order."""

    def __init__(self, answer=echo, address=None):
        self.address = address or f"127.0.0.1:{free_port()}"
        self.answer = answer
        self.clients = []
        self.datagrams = 0
        self._last = None
        self._ended = False
        family, target = sockets.parse(self.address)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(target)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            datagram, client = self._socket.recvfrom(1 << 16)
            if self._ended:
                return
            self.datagrams += 1
            if client not in self.clients:
                self.clients.append(client)
            self._last = client
            for each in self.answer(datagram):
                self._socket.sendto(each, client)

    def say(self, datagram):
        """Unasked, to whoever has asked last."""
        self._socket.sendto(datagram, self._last)

    def say_to_all(self, datagram):
        for client in self.clients:
            self._socket.sendto(datagram, client)

    def close(self):
        self._ended = True
        family, target = sockets.parse(self.address)
        with socket.socket(family, socket.SOCK_DGRAM) as last:
            last.sendto(b"", target)
        self._thread.join(5)
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclass
class Tally:
    answered: int = 0
    unanswered: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    slowest: float = 0.0


class AskingClients:
    """Clients that each ask one question from a new port, wait for its answer, and go."""

    def __init__(self, address, clients=16, patience=5.0):
        self.address = address
        self.patience = patience
        self.total = Tally()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop, args=(n,)) for n in range(clients)]

    def _loop(self, number):
        round_number = 0
        while not self._stop.is_set():
            round_number += 1
            with connect(self.address) as client:
                self._ask(client, f"client {number} round {round_number}".encode())

    def _ask(self, client, question):
        begin = time.monotonic()
        try:
            answer = ask(client, question, self.patience)
        except ConnectionRefusedError:
            answer = None
        with self._lock:
            self.total.slowest = max(self.total.slowest, time.monotonic() - begin)
            if answer == question:
                self.total.answered += 1
            elif answer is None:
                self.total.unanswered.append(question)
            else:
                self.total.wrong.append((question, answer))

    def answered(self):
        with self._lock:
            return self.total.answered

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        return self.total

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()


class LastingClients(AskingClients):
    """The same, but each client keeps its port."""

    def __init__(self, address, clients=16, patience=5.0):
        super().__init__(address, clients, patience)
        self._asking = [threading.Lock() for _ in range(clients)]
        self._go = threading.Event()
        self._go.set()

    def _loop(self, number):
        with connect(self.address) as client:
            for round_number in itertools.takewhile(lambda _: not self._stop.is_set(), itertools.count()):
                with self._asking[number]:
                    self._ask(client, f"client {number} round {round_number}".encode())
                self._go.wait(PATIENCE)

    @contextlib.contextmanager
    def at_rest(self):
        """All have their answers and ask nothing."""
        self._go.clear()
        with contextlib.ExitStack() as held:
            for asking in self._asking:
                held.enter_context(asking)
            yield
        self._go.set()


@dataclass
class DnsPerfResult:
    sent: int
    completed: int
    lost: int
    text: str


class DnsPerf:
    """dnsperf(1) in the background, one name asked again and again."""

    def __init__(self, address, directory, seconds=4, clients=8, outstanding=20):
        host, port = address.rsplit(":", 1)
        names = directory / "names"
        names.write_text("answer.test A\n")
        self.process = subprocess.Popen(
            ["dnsperf", "-s", host, "-p", port, "-d", str(names), "-l", str(seconds),
             "-c", str(clients), "-q", str(outstanding), "-Q", "2000"],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def finish(self):
        text, _ = self.process.communicate(timeout=60)
        figures = [re.search(rf"Queries {word}:\s+(\d+)", text) for word in ("sent", "completed", "lost")]
        assert all(figures), text
        return DnsPerfResult(*(int(figure[1]) for figure in figures), text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

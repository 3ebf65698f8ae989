"""Servers for Baton to proxy to, each with one trait: echoes, hangs, resets, closes half, ...

An Upstream runs in threads of this process; what it does with a connection is a function. All are
context managers, and end every connection they hold when they stop.
"""

import contextlib
import hashlib
import os
import select
import socket
import threading

from . import sockets
from .ports import free_port


class Upstream:
    def __init__(self, handle, address=None, backlog=1024):
        self.address = address or f"127.0.0.1:{free_port()}"
        self.handle = handle
        self.accepted = 0
        self.errors = []
        self._open = set()
        self._lock = threading.Lock()
        family, target = sockets.parse(self.address)
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(target)
        self._listener.listen(backlog)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def open_connections(self):
        with self._lock:
            return len(self._open)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(None)
            with self._lock:
                self.accepted += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.handle(connection)
        except (ConnectionError, OSError) as error:
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(sockets.PATIENCE)
        if self.address.startswith("unix:"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.address[len("unix:"):])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def echo(connection):
    """Sends back what comes, ends when the client ends."""
    while data := connection.recv(1 << 16):
        connection.sendall(data)


def answer_one_line(connection):
    """Answers a line with the same line, then closes first, as an HTTP/1.0 server does."""
    data = b""
    while not data.endswith(b"\n"):
        more = connection.recv(1 << 12)
        if not more:
            return
        data += more
    connection.sendall(b"answer to " + data)


def digest_at_the_end(connection):
    """Answers only once the client has closed its half: count and digest of all it sent."""
    digest, count = hashlib.sha256(), 0
    while data := connection.recv(1 << 16):
        digest.update(data)
        count += len(data)
    connection.sendall(f"{count} {digest.hexdigest()}\n".encode())


def hang(connection):
    """Reads nothing and says nothing until the other side is gone for good."""
    poller = select.poll()
    poller.register(connection, 0)  # only POLLHUP and POLLERR
    poller.poll()


def reset_after_a_line(connection):
    connection.recv(1 << 12)
    sockets.reset(connection)


def sender_of(payload):
    """Sends all of it as fast as the other side takes it, then closes its half and reads on."""

    def handle(connection):
        connection.sendall(payload)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass

    return handle


class HalfCloser:
    """Says a word and closes its half at once; keeps what the client goes on to send."""

    def __init__(self, word=b"mine is said\n"):
        self.word = word
        self.heard = b""
        self.done = threading.Event()

    def __call__(self, connection):
        connection.sendall(self.word)
        connection.shutdown(socket.SHUT_WR)
        self.heard = sockets.read_all(connection)
        self.done.set()


class Unresponsive:
    """An address where the kernel completes no handshake: a full queue that nobody accepts from."""

    def __init__(self):
        self.address = f"127.0.0.1:{free_port()}"
        self._listener = socket.socket()
        self._listener.bind(sockets.parse(self.address)[1])
        self._listener.listen(0)
        self._fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(sockets.parse(self.address)[1])
            self._fillers.append(filler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self._fillers + [self._listener]:
            each.close()


def refusing_address():
    return f"127.0.0.1:{free_port()}"

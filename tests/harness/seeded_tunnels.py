"""Many tunnels at once, their clients and servers both here, that write, pause, half-close, reset and
come and go as a seed says, while somebody reloads. Every byte of both directions is compared with what
was sent, so one that is lost, doubled, or out of its order is an error that names the seed.

One thread, nothing blocks: what a seed decides does not depend on how fast anybody is.
"""

import contextlib
import random
import selectors
import socket
import struct
import time

from . import sockets
from .ports import free_port

PERIOD = 1_000_003  # a prime, so that positions in a stream do not look alike
CONTENT = sockets.pattern(PERIOD)
CONTENT += CONTENT[:1 << 18]
PIECES = [1, 3, 100, 1500, 4096, 20_000, 150_000]


class Wrong(AssertionError):
    pass


class Half:
    """One end of a tunnel: what it has sent, what it has received, what it is up to."""

    def __init__(self, stream, connection, start):
        self.stream = stream
        self.socket = connection
        self.peer = None
        self.start = start % PERIOD  # where in CONTENT its own stream begins
        self.sent = 0
        self.received = 0
        self.reading = True
        self.write_ended = False
        self.read_ended = False
        self.failed = False

    def content(self, position, count):
        begin = (self.start + position) % PERIOD
        return memoryview(CONTENT)[begin:begin + count]

    def write(self, count):
        if self.write_ended or self.failed:
            return
        try:
            self.sent += self.socket.send(self.content(self.sent, count))
        except BlockingIOError:
            pass
        except OSError:
            self.failed = True

    def end(self):
        if self.write_ended or self.failed:
            return
        self.write_ended = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.failed = True

    def read(self):
        """Compares; False once nothing more can come."""
        try:
            data = self.socket.recv(1 << 17)
        except BlockingIOError:
            return True
        except OSError:
            self.failed = True
            return False
        if not data:
            self.read_ended = True
            return False
        if data != self.peer.content(self.received, len(data)):
            raise Wrong(f"{self.stream}: other bytes than those sent, after {self.received}")
        self.received += len(data)
        return True


class Tunnel:
    def __init__(self, number, client):
        self.number = number
        self.client = Half(f"tunnel {number}, to the client", client, number * 7919)
        self.server = None
        self.was_reset = False

    def halves(self):
        return [half for half in (self.client, self.server) if half is not None]

    @property
    def over(self):
        return self.server is not None and all(h.read_ended or h.failed for h in self.halves())

    def check(self):
        """Once it is over."""
        for half in self.halves():
            sender = half.peer
            if not self.was_reset and (half.failed or half.received != sender.sent):
                raise Wrong(f"{half.stream}: {half.received} of {sender.sent} bytes, "
                            f"{'failed' if half.failed else 'ended'}")


class SeededTunnels:
    """`reload()` begins one and returns something with poll(), None while it goes on."""

    def __init__(self, address, reload, upstream=None):
        self.target = sockets.parse(address)
        self.reload = reload
        self.upstream = upstream or f"127.0.0.1:{free_port()}"
        family, own = sockets.parse(self.upstream)
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(own)
        self.listener.listen(1024)
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.tunnels = {}
        self.opened = 0
        self.reloads = 0
        self.bytes = 0

    def close(self):
        for tunnel in self.tunnels.values():
            for half in tunnel.halves():
                half.socket.close()
        self.selector.close()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- one run

    def run(self, seed, tunnels=24, steps=300, reloads=3):
        """As the seed says, to the end of every tunnel. Raises Wrong."""
        try:
            self._run(random.Random(seed), tunnels, steps, reloads)
        except AssertionError as error:
            raise Wrong(f"seed {seed}: {error}") from error

    def _run(self, chance, tunnels, steps, reloads):
        for _ in range(tunnels):
            self._open()
        due = sorted(chance.randrange(steps * 2 // 3) for _ in range(reloads))
        running = None
        step = 0
        # Reloads take what they take: the tunnels live until the last one has had its commit.
        while step < steps or due or running.poll() is None:
            step += 1
            if due and step >= due[0] and (running is None or running.poll() is not None):
                due.pop(0)
                running = self._reload(running)
            self._act(chance, chance.choice(list(self.tunnels.values())))
            self._serve(0)
        for tunnel in self.tunnels.values():
            for half in tunnel.halves():
                half.reading = True
        self._end_all(running)

    def _reload(self, before):
        assert before is None or before.poll() == 0, "a reload has failed"
        self.reloads += 1
        return self.reload()

    def _act(self, chance, tunnel):
        half = chance.choice(tunnel.halves())
        act = chance.random()
        if act < 0.75:
            half.write(chance.choice(PIECES))
        elif act < 0.83:
            half.reading = not half.reading
        elif act < 0.85:
            half.end()
        elif act < 0.86:
            self._reset(tunnel, half)
        elif act < 0.90:
            self._open()
        else:
            self._serve(chance.random() * 0.015)

    def _end_all(self, running):
        deadline = time.monotonic() + 30
        while self.tunnels or (running and running.poll() is None):
            for tunnel in self.tunnels.values():
                for half in tunnel.halves():
                    half.end()
            self._serve(0.05)
            if time.monotonic() > deadline:
                left = [f"{half.stream}: {half.received} of {half.peer.sent if half.peer else '?'}"
                        for tunnel in self.tunnels.values() for half in tunnel.halves()
                        if not (half.read_ended or half.failed)]
                raise Wrong(f"not over in time: {left}, a reload: {running and running.poll()}")
        assert running is None or running.poll() == 0, "a reload has failed"

    # --- connections

    def _open(self):
        self.opened += 1
        client = socket.socket(self.target[0], socket.SOCK_STREAM)
        client.connect(self.target[1])
        client.sendall(struct.pack("!Q", self.opened))
        tunnel = self.tunnels[self.opened] = Tunnel(self.opened, client)
        self._watch(tunnel, tunnel.client)

    def _accept(self, _):
        try:
            connection, _ = self.listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        self.selector.register(connection, selectors.EVENT_READ,
                               lambda _: self._introduce(connection))

    def _introduce(self, connection):
        self.selector.unregister(connection)
        connection.settimeout(sockets.PATIENCE)
        try:
            number = struct.unpack("!Q", sockets.read_exactly(connection, 8))[0]
        except (OSError, AssertionError):
            number = 0  # its client was reset before it had said anything
        tunnel = self.tunnels.get(number)
        if tunnel is None:
            connection.close()
            return
        tunnel.server = Half(f"tunnel {number}, to the server", connection, number * 104_729 + 1)
        tunnel.server.peer, tunnel.client.peer = tunnel.client, tunnel.server
        self._watch(tunnel, tunnel.server)

    def _watch(self, tunnel, half):
        half.socket.setblocking(False)

        def on_readable(_):
            if half.reading and not half.read():
                self.selector.unregister(half.socket)
                self._settle(tunnel)

        self.selector.register(half.socket, selectors.EVENT_READ, on_readable)

    def _reset(self, tunnel, half):
        if half.failed:
            return
        tunnel.was_reset = half.failed = True
        with contextlib.suppress(KeyError):  # it has been read to its end
            self.selector.unregister(half.socket)
        sockets.reset(half.socket)
        if tunnel.server is None:  # which may never hear of it
            del self.tunnels[tunnel.number]
        else:
            self._settle(tunnel)
        self._open()

    def _settle(self, tunnel):
        if not tunnel.over:
            return
        tunnel.check()
        self.bytes += sum(half.received for half in tunnel.halves())
        for half in tunnel.halves():
            half.socket.close()
        self.tunnels.pop(tunnel.number, None)

    def _serve(self, seconds):
        for key, _ in self.selector.select(seconds):
            key.data(key)

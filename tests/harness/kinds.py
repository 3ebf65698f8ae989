"""One client for each kind of connection that moves, and the server that HTTP ones talk to."""

import threading

from . import sockets
from .waiting import wait_until

ANSWER = b"HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\n\r\nok"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n"
HTTP = {"protocol": "http", "http": {"upgrades": ["echo"]}}  # of a listener for Kept and Upgraded


def serve(connection):
    """Answers requests, or changes to echoing."""
    while request := connection.recv(1 << 16):
        if b"upgrade: echo" not in request.lower():
            connection.sendall(ANSWER)
            continue
        connection.sendall(SWITCH)
        while data := connection.recv(1 << 16):
            connection.sendall(data)


class Tunnel:
    """To a server that echoes."""

    def __init__(self, address):
        self.connection = sockets.connect(address)

    def use(self):
        sockets.ask(self.connection, b"said")

    def is_alive(self):
        try:
            self.use()
            return True
        except (OSError, AssertionError):
            return False

    def close(self):
        self.connection.close()


class Kept(Tunnel):
    """HTTP, one request after the other."""

    def use(self):
        self.connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = sockets.read_exactly(self.connection, len(ANSWER))
        assert answer == ANSWER, answer


class Upgraded(Tunnel):
    """HTTP at first, then bytes."""

    def __init__(self, address):
        super().__init__(address)
        self.connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        assert sockets.read_exactly(self.connection, len(SWITCH)).startswith(b"HTTP/1.1 101")


class Talk:
    """All of these clients use their connections, one after the other and without a pause."""

    def __init__(self, clients):
        self.clients = clients
        self.rounds = 0
        self.error = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def _talk(self):
        try:
            while not self._stop.is_set():
                for client in self.clients:
                    client.use()
                self.rounds += 1
        except (OSError, AssertionError) as error:
            self.error = error

    def goes_on(self):
        """Every client has been answered twice from here on."""
        enough = self.rounds + 3
        wait_until(lambda: self.error or self.rounds >= enough, 20, "they are answered")
        assert self.error is None, self.error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(20)

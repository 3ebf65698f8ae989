"""One client for each kind of connection that moves, and the server that HTTP ones talk to."""

from . import sockets

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

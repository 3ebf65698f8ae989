"""HTTP/1.1 spoken by hand: a client and servers that read strictly and say whatever they are told."""

import contextlib
import socket
from dataclasses import dataclass, field

from . import sockets
from .upstreams import Upstream


class NotHttp(AssertionError):
    """What was read is not what RFC 9112 allows a sender to say."""


class Ended(EOFError):
    """The peer ended in the middle of something."""


@dataclass
class Message:
    first_line: str
    headers: list  # (name, value), as they came
    body: bytes = b""
    trailers: list = field(default_factory=list)

    def all(self, name):
        return [value for each, value in self.headers if each.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None


class Request(Message):
    @property
    def method(self):
        return self.first_line.split(" ")[0]

    @property
    def path(self):
        return self.first_line.split(" ")[1]


class Response(Message):
    interim = ()  # statuses of the 1xx before it

    @property
    def status(self):
        return int(self.first_line.split(" ")[1])


class Reader:
    """One direction of a connection, message by message."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""

    def _more(self):
        data = self.connection.recv(1 << 16)
        if not data:
            raise Ended(f"the peer ended behind {self.buffer[-200:]!r}")
        self.buffer += data

    def at_end(self):
        """Whether the peer ends now, in order and between two messages."""
        if self.buffer:
            return False
        self.buffer = self.connection.recv(1 << 16)
        return not self.buffer

    def line(self):
        while b"\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\n")
        if not line.endswith(b"\r") or b"\r" in line[:-1] or b"\0" in line:
            raise NotHttp(f"a line ends wrongly: {line!r}")
        return line[:-1].decode("latin-1")

    def exactly(self, count):
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def rest(self):
        data, self.buffer = self.buffer, b""
        return data + sockets.read_all(self.connection)

    def _lines(self):
        fields = []
        while line := self.line():
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip() or " " in name:
                raise NotHttp(f"not a header line: {line!r}")
            fields.append((name, value.strip(" \t")))
        return fields

    def _chunks(self):
        body = b""
        while True:
            size = int(self.line(), 16)
            if size == 0:
                return body, self._lines()
            body += self.exactly(size)
            if self.exactly(2) != b"\r\n":
                raise NotHttp("no line ends behind a chunk")

    def head(self, kind):
        return kind(self.line(), self._lines())

    def _body(self, message, without_length):
        lengths, codings = message.all("content-length"), message.all("transfer-encoding")
        if len(lengths) + len(codings) > 1 or codings not in ([], ["chunked"]):
            raise NotHttp(f"ambiguous framing: {message.headers}")
        if codings:
            message.body, message.trailers = self._chunks()
        elif lengths:
            if not lengths[0].isdigit():
                raise NotHttp(f"a length of {lengths[0]!r}")
            message.body = self.exactly(int(lengths[0]))
        else:
            message.body = without_length()
        return message

    def request(self):
        request = self.head(Request)
        words = request.first_line.split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or len(request.all("host")) != 1:
            raise NotHttp(f"not a request: {request}")
        return self._body(request, lambda: b"")

    def response(self, method="GET"):
        interim = []
        while True:
            response = self.head(Response)
            if not response.first_line.startswith("HTTP/1.1 "):
                raise NotHttp(f"not a status line: {response.first_line!r}")
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response.status)
        response.interim = interim
        if method == "HEAD" or response.status in (101, 204, 304) or method == "CONNECT":
            return response
        return self._body(response, self.rest)


class Client:
    """One connection; a context manager."""

    def __init__(self, address, **options):
        self.socket = sockets.connect(address, **options)
        self.reader = Reader(self.socket)

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)
        return self

    def ask(self, method="GET", path="/", headers=(), body=None, host="example.com"):
        """One request and its response; the connection stays as the two say."""
        self.send(request_bytes(method, path, headers, body, host))
        return self.reader.response(method)

    def is_closed(self):
        return not self.reader.buffer and sockets.is_closed_by_peer(self.socket)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request_bytes(method="GET", path="/", headers=(), body=None, host="example.com"):
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if body is not None:
        pairs.append(("Content-Length", len(body)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in [("Host", host), *pairs])
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b"")


def ask(address, method="GET", path="/", **options):
    """One request on a connection of its own."""
    with Client(address) as client:
        return client.ask(method, path, **options)


def answer(status=200, body=b"", headers=(), reason="Said"):
    """The bytes of a response with a length."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


class HttpServer(Upstream):
    """An upstream that keeps connections alive, reads strictly, and stores every request.

    `respond(request)` gives the bytes to answer with; None closes instead. What it reads that is no
    HTTP is an error of the test: `broken`.
    """

    def __init__(self, respond=None, **options):
        self.requests = []
        self.broken = []
        self._respond = respond or (lambda request: answer(body=b"hello from upstream\n"))
        super().__init__(self._converse, **options)

    def _converse(self, connection):
        reader = Reader(connection)
        with contextlib.suppress(Ended):
            while not reader.at_end():
                try:
                    request = reader.request()
                except (NotHttp, ValueError) as error:
                    self.broken.append(error)
                    return
                self.requests.append(request)
                response = self._respond(request)
                if response is None:
                    return
                connection.sendall(response)


class RawServer(Upstream):
    """An upstream that sends these bytes once a request's head has come, and then does `after`."""

    def __init__(self, data, after="close", **options):
        self.data, self.after = data, after
        self.heads = 0
        self.ends = 0  # connections that the proxy has ended
        super().__init__(self._converse, **options)

    def _converse(self, connection):
        reader = Reader(connection)
        try:
            reader.head(Request)
        except Ended:
            return
        self.heads += 1
        with contextlib.suppress(ConnectionError):
            for piece in [self.data] if isinstance(self.data, bytes) else self.data:
                connection.sendall(piece)
        if self.after == "reset":
            sockets.reset(connection)
        elif self.after == "wait":
            with contextlib.suppress(ConnectionError):
                while connection.recv(1 << 16):
                    pass
            self.ends += 1
        elif self.after == "half-close":
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while connection.recv(1 << 16):
                    pass

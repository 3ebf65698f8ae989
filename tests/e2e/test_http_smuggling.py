"""Never two readings of one byte stream: what reaches an upstream is exactly what a client has sent.

Each request is sent on a fresh connection, with another one right behind it, the marker. A recording
upstream keeps every byte that reaches it and reads it strictly.
"""

import contextlib
import socket

import pytest
from harness import sockets
from harness.http import Client, Ended, NotHttp, Reader, answer
from harness.malformed_requests import CHUNKS, HEADER_LINES, HEADS
from harness.tables import web
from harness.upstreams import Upstream
from harness.waiting import wait_until

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"
LENGTH = str(len(SMUGGLED)).encode()


def marker(number):
    return f"GET /marker-{number} HTTP/1.1\r\nHost: m\r\n\r\n".encode()


class Recorder(Upstream):
    """Answers each request with its path. `seen`: (path, body) of each that was whole."""

    def __init__(self):
        self.bytes = b""
        self.seen = []
        self.broken = []
        super().__init__(self._record)

    def _record(self, connection):
        recorder = self

        class Recording:
            def recv(self, count):
                data = connection.recv(count)
                recorder.bytes += data
                return data

        reader = Reader(Recording())
        with contextlib.suppress(Ended, ConnectionError):
            while not reader.at_end():
                try:
                    request = reader.request()
                except (NotHttp, ValueError) as error:
                    self.broken.append(error)
                    return
                self.seen.append((request.path, request.body))
                connection.sendall(answer(body=request.path.encode()))


@pytest.fixture
def recorder():
    with Recorder() as upstream:
        yield upstream
        assert not upstream.broken, upstream.broken


def converse(address, data, last):
    """Sends it all; the responses up to that to `last`, or to the connection's end."""
    responses = []
    with Client(address) as client:
        client.send(data)
        with contextlib.suppress(Ended):
            while not client.reader.at_end():
                responses.append(client.reader.response())
                if responses[-1].body == last:
                    break
    return responses


def why_not_refused(address, data, number):
    """None if it is answered with one refusal and the connection closed, else what happened."""
    try:
        responses = converse(address, data + marker(number), f"/marker-{number}".encode())
    except (OSError, AssertionError) as error:
        return error
    if len(responses) != 1 or responses[0].status not in (400, 417, 501, 505):
        return [response.first_line for response in responses]
    return None if responses[0].get("connection") == "close" else responses


def test_no_malformed_head_is_forwarded(start, address, recorder, log):
    baton = start(web(address, recorder.address, log=log.path))
    lines = [b"POST / HTTP/1.1\r\nHost: x\r\n" + each + b"\r\n\r\n" for each in HEADER_LINES]
    cases = HEADS + lines
    wrong = [(data, why) for i, data in enumerate(cases)
             if (why := why_not_refused(address, data, i)) is not None]
    assert not wrong
    assert len(cases) > 200 and recorder.bytes == b"" and recorder.accepted == 0
    entries = log.entries(len(cases))
    assert {entry["flags"] for entry in entries} == {"DPE"} and len(entries) == len(cases)
    assert all(entry["details"] for entry in entries)
    assert baton.metric("baton_http_rejected_total") == len(cases)


def test_no_malformed_body_is_taken_for_whole(start, address, recorder, log):
    """Nor is anything of it forwarded, although a kept connection waits for requests."""
    start(web(address, recorder.address, log=log.path, workers=1))
    assert len(converse(address, marker("first"), b"/marker-first")) == 1
    head = b"POST /case HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    wrong = [(data, why) for i, data in enumerate(CHUNKS)
             if (why := why_not_refused(address, head + data, i)) is not None]
    assert not wrong
    assert recorder.seen == [("/marker-first", b"")]
    assert b"/case" not in recorder.bytes and recorder.bytes.count(b"marker") == 1
    assert {entry["flags"] for entry in log.entries(len(CHUNKS) + 1)[1:]} == {"DPE"}


def in_pieces(address, data, last):
    """The same, one byte at a time: where pieces end must not matter."""
    responses = []
    with Client(address) as client, contextlib.suppress(Ended):
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            client.send(bytes([byte]))
        while not client.reader.at_end():
            responses.append(client.reader.response())
            if responses[-1].body == last:
                break
    return responses


# (request, what the upstream must read: path and body)
ACCEPTED = [
    (b"\r\n\r\nGET /1 HTTP/1.1\r\nHost: x\r\n\r\n", [("/1", b"")]),
    (b"GET http://x/2 HTTP/1.1\r\nHost: x\r\n\r\n", [("/2", b"")]),
    (b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", [("/", b"")]),
    (b"POST /3 HTTP/1.1\r\nHost: x\r\nContent-Length: " + LENGTH + b"\r\n\r\n" + SMUGGLED,
     [("/3", SMUGGLED)]),
    (b"GET /4 HTTP/1.1\r\nHost: x\r\nContent-Length: " + LENGTH + b"\r\n\r\n" + SMUGGLED,
     [("/4", SMUGGLED)]),
    (b"POST /5 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED
     + b"\r\n0\r\n\r\n",
     [("/5", SMUGGLED)]),
    (b"POST /6 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", [("/6", b"")]),
    (b"POST /7 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\tchunked \r\n\r\n5;a;b=\"c\"\r\n"
     b"hello\r\n000\r\nX-T: 1\r\n\r\n", [("/7", b"hello")]),
    (b"POST /8 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n\r\n"
     b"a\r\n0\r\n\r\nGET /\r\n0\r\n\r\n", [("/8", b"0\r\n\r\nGET /")]),
    (b"POST /9 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: content-length, host\r\n\r\nab",
     [("/9", b"ab")]),
    (b"POST /10 HTTP/1.1\r\nHost: x\r\nX-Content-Length: 5\r\nX-Transfer-Encoding: chunked\r\n\r\n",
     [("/10", b"")]),
    (b"POST /11 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTrailer: Content-Length\r\n\r\nhello",
     [("/11", b"hello")]),
    (b"PUT /12 HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\nHTTP2-Settings: AA\r\n\r\n",
     [("/12", b"")]),
    (b"GET /13 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", [("/13", b"")]),
    (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [("*", b"")]),
    (b"DELETE /14 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nHEAD /15 HTTP/1.1\r\nHost: x\r\n\r\n",
     [("/14", b""), ("/15", b"")]),
]


@pytest.mark.parametrize("how", [converse, in_pieces], ids=["at once", "byte by byte"])
def test_what_is_accepted_reaches_the_upstream_as_it_is(start, address, recorder, how):
    start(web(address, recorder.address))
    for i, (data, wanted) in enumerate(ACCEPTED[:-1]):
        responses = how(address, data + marker(i), f"/marker-{i}".encode())
        assert [response.status for response in responses] == [200] * (len(wanted) + 1), (data, responses)
        assert recorder.seen[-len(wanted) - 1:] == [*wanted, (f"/marker-{i}", b"")], data
    wanted = [each for _, several in ACCEPTED[:-1] for each in several]
    assert [each for each in recorder.seen if "marker" not in each[0]] == wanted
    assert not any(name in recorder.bytes.lower() for name in (b"h2c", b"http2-settings", b";a;b"))


BYTES = [b"", b" ", b"\t", b"\0", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\x85", b"\xa0", b"\xff", b":", b";",
         b",", b"\r", b"\n", b"\r\n", b"\r\n ", b"\"", b"'", b"x", b"chunked", b"identity,", b",chunked"]


def twisted():
    """Lengths and codings with something slipped in at every place, beside a good one or alone."""
    for line, good in ((b"Content-Length: 4", b""), (b"Transfer-Encoding: chunked", b""),
                       (b"Transfer-Encoding: chunked", b"Content-Length: 4\r\n")):
        name, value = line.split(b": ")
        for byte in BYTES:
            for twist in (byte + line, name + byte + b": " + value, name + b":" + byte + value, line + byte,
                          name[:8] + byte + name[8:] + b": " + value):
                for order in {(good, twist + b"\r\n"), (twist + b"\r\n", good)}:
                    yield b"POST /case HTTP/1.1\r\nHost: x\r\n" + b"".join(order) + b"\r\n"


def test_whatever_is_slipped_in_both_sides_read_the_same(start, address, recorder):
    """Refused, or understood by both alike: as many answers as the upstream has read requests.

    What follows is 4 bytes of a body to one reading, the end of all chunks to another, and a bad request
    to a third; so each would read another request next.
    """
    start(web(address, recorder.address))
    refused = accepted = 0
    for i, head in enumerate(twisted()):
        recorder.seen.clear()
        recorder.bytes = b""
        responses = converse(address, head + b"0\r\n\r\n" + SMUGGLED + marker(i), f"/marker-{i}".encode())
        statuses = [response.status for response in responses]
        forwarded = [path.encode() for path, _ in recorder.seen]
        assert [r.body for r in responses if r.status == 200] == forwarded, (head, responses)
        if statuses[0] >= 400:
            refused += 1
            assert len(statuses) == 1 and b"smuggled" not in recorder.bytes, (head, recorder.bytes)
        else:
            accepted += 1
            assert forwarded[0] == b"/case" and statuses[1:].count(200) == len(forwarded) - 1, head
    assert refused > 250 and accepted > 10, (refused, accepted)


def test_pieces_of_two_clients_never_meet_on_one_upstream_connection(start, address, recorder):
    """An upload that ends early must not leave the next client's request to be its body."""
    start(web(address, recorder.address, workers=1))
    for i in range(20):
        with Client(address) as client:
            client.send(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b"x" * i)
            if i % 2:
                sockets.reset(client.socket)
        path = f"/marker-{i}".encode()
        assert [response.body for response in converse(address, marker(i), path)] == [path]
    wait_until(lambda: recorder.open_connections <= 1, 5, "only one is kept")
    assert [path for path, _ in recorder.seen] == [f"/marker-{i}" for i in range(20)]

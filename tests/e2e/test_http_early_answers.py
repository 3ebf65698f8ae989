"""Answers that come while the request is still on its way, and clients that break off behind them."""

import itertools
import socket
import threading

import pytest
from harness import sockets
from harness.http import Client, Ended, RawServer, Reader, Request, answer
from harness.tables import web
from harness.upstreams import Upstream
from harness.waiting import wait_until

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"4\r\ndone\r\n0\r\n\r\n"
TWO_SECONDS = {"timeout": "2s", "cluster": "back"}


def answer_in_two(connection, begin, between=lambda: None):
    """Begins to answer at the request's head, reads on to its last chunk, piece by piece, then is done."""
    Reader(connection).head(Request)
    connection.sendall(begin)
    end = b""
    while not end.endswith(b"0\r\n\r\n"):
        piece = connection.recv(1 << 18)
        if not piece:
            return
        end = (end + piece)[-16:]
        between()
    connection.sendall(DONE)


def test_a_slow_upload_whose_answer_has_begun_is_not_timed_out(start, address, log):
    pause, pieces = threading.Event(), itertools.count()

    # For about 3 s, and it takes something all the time; at once what is left when all has been sent.
    def slowly(connection):
        answer_in_two(connection, CHUNKED, lambda: next(pieces) < 150 and pause.wait(0.02))

    with Upstream(slowly) as upstream:
        start(web(address, upstream.address, routes=[TWO_SECONDS], log=log.path))
        with Client(address) as client:
            client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            piece = sockets.pattern(1 << 20)
            for _ in range(48):
                client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
            assert client.reader.response("POST").body == b"done"
    entry = log.last()
    assert (entry["status"], entry["flags"]) == (200, None)


def test_a_client_may_take_its_time_although_its_answer_has_begun(start, address, log):
    pause = threading.Event()
    begin = CHUNKED + b"6\r\nbegun \r\n"
    with Upstream(lambda connection: answer_in_two(connection, begin)) as upstream:
        start(web(address, upstream.address, routes=[TWO_SECONDS], log=log.path))
        with Client(address) as client:
            client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(8):
                client.send(b"5\r\npiece\r\n")
                pause.wait(0.3)  # a slow client
            client.send(b"0\r\n\r\n")
            assert client.reader.response("POST").body == b"begun done"
    assert log.last()["flags"] is None


def test_an_answer_that_is_complete_reaches_a_client_that_ends_its_half_early(start, address, log):
    body = sockets.pattern(60_000)
    said = answer(403, body)
    with RawServer(said, "wait") as upstream:
        baton = start(web(address, upstream.address, log=log.path))
        with sockets.connect(address, receive_buffer=2048) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabcdefghij")
            # All of it is on its way, and the client has hardly read any.
            wait_until(lambda: baton.metric("baton_upstream_received_bytes_total") >= len(said), 10, "answered")
            client.shutdown(socket.SHUT_WR)
            received = sockets.read_all(client)
    assert received.partition(b"\r\n\r\n")[2] == body
    assert log.last()["flags"] is None
    assert baton.metric("baton_http_resets_total") == 0


@pytest.mark.parametrize("limit", ["request_timeout", "stream_idle_timeout"])
def test_a_client_that_does_not_send_the_rest_keeps_its_answer(start, address, log, limit):
    with RawServer(answer(403, b"no"), "wait") as upstream:
        baton = start(web(address, upstream.address, http={limit: "2s"}, log=log.path))
        with Client(address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabcdefghij")
            response = client.reader.response("POST")
            assert (response.status, response.body) == (403, b"no")
            with pytest.raises(Ended):
                client.reader.response("POST")
    assert log.last()["flags"] is None
    assert baton.metric("baton_http_resets_total") == 0


def test_what_one_upgrade_did_not_get_no_other_one_gets(start, address):
    """The first client goes while its connection is being upgraded, and is not watched at that moment."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n"
    may_answer = threading.Event()
    said = []

    def upgrade(connection):
        Reader(connection).head(Request)
        said.append(connection)
        if len(said) == 1:
            may_answer.wait(10)
            connection.sendall(switch + b"X-Pad: " + b"p" * 5000 + b"\r\n\r\n" + b"SECRET")
        else:
            connection.sendall(switch + b"\r\n" + b"own")
        while connection.recv(1 << 16):
            pass

    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    with Upstream(upgrade) as upstream:
        baton = start(web(address, upstream.address, workers=1, http={"upgrades": ["echo"]}))
        first = sockets.connect(address)
        first.sendall(head)
        wait_until(lambda: said, 10, "the first upgrade has arrived")
        first.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:  # until nobody reads it any more
                first.sendall(b"e" * (1 << 16))
        sockets.reset(first)
        may_answer.set()
        wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "it has gone")
        with sockets.connect(address) as second:
            second.sendall(head)
            received = b""
            while not received.endswith(b"own"):
                piece = second.recv(1 << 16)
                assert piece, received
                received += piece
    assert b"SECRET" not in received

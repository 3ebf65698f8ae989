"""Peers that take bytes all the time, though slowly, and what came in time although it is seen late.

The kernel tells of room only when much of its buffer is free again, which takes these peers longer than any of the
limits here. They are at unix sockets, where that is three quarters of 200 KB, and some 36 KB that are taken show.
"""

import contextlib
import os
import signal
import socket
import threading
import time

import pytest
from harness import processes, sockets
from harness.http import Client, RawServer, Reader, Request, Response, answer
from harness.tables import staying, web
from harness.upstreams import Upstream
from harness.waiting import wait_until

LENGTH = 3_000_000
SLOWLY = 2.5  # seconds
LIMIT = "1s"


def read_slowly(reader, length):
    """So many bytes: for SLOWLY seconds at most 80 KB/s, then what is left."""
    pause, begin, taken = threading.Event(), time.monotonic(), bytearray(reader.buffer)
    while len(taken) < length:
        slow = time.monotonic() - begin < SLOWLY
        piece = reader.connection.recv(4_000 if slow else 1 << 20)
        if not piece:
            break
        taken += piece
        if slow:
            pause.wait(0.05)
    return bytes(taken)


def take_slowly(address, log):
    """The body of an answer; nothing is said of it in the log but that all went well."""
    with Client(address) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.reader.head(Response)
        body = read_slowly(client.reader, LENGTH)
    assert log.last()["flags"] is None
    return body


@pytest.fixture
def front(directory):
    return f"unix:{directory}/front.sock"


def test_an_answer_of_ones_own_that_is_taken_slowly_arrives(start, front, log):
    """It is complete at once, and the connection waits for the next request."""
    text = "x" * LENGTH
    start(web(front, routes=[{"direct_response": {"status": 200, "body": text}}], http={"keep_alive_timeout": LIMIT},
              log=log.path))
    assert take_slowly(front, log) == text.encode()


def test_an_answer_that_is_taken_slowly_arrives(start, front, log):
    body = sockets.pattern(LENGTH)
    with RawServer(answer(200, body), "wait") as upstream:
        start(web(front, upstream.address, http={"stream_idle_timeout": LIMIT}, log=log.path))
        assert take_slowly(front, log) == body


def test_a_request_that_is_taken_slowly_arrives(start, address, directory, log):
    body = sockets.pattern(LENGTH)
    taken = []

    def take(connection):
        reader = Reader(connection)
        reader.head(Request)
        taken.append(read_slowly(reader, LENGTH))
        connection.sendall(answer(200, b"all"))

    with Upstream(take, f"unix:{directory}/back.sock") as upstream:
        start(web(address, upstream.address, routes=[{"cluster": "back", "timeout": LIMIT}], log=log.path))
        with Client(address) as client:
            client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % LENGTH)
            client.send(body)
            assert client.reader.response("PUT").body == b"all"
    assert taken == [body]


def test_a_head_has_its_own_time(start, address, http_server):
    """Not the time between two requests."""
    start(web(address, http_server.address, http={"keep_alive_timeout": "200ms"}))
    with Client(address) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n")
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.send("\r\n")
        client.socket.settimeout(sockets.PATIENCE)
        assert client.reader.response().status == 200


def test_a_client_that_takes_nothing_ends_although_it_sends_the_beginnings_of_heads(start, front, log):
    start(web(front, routes=[{"direct_response": {"status": 200, "body": "x" * 3000}}],
              http={"keep_alive_timeout": LIMIT}, log=log.path))
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with Client(front) as client:
        client.socket.settimeout(0.5)
        client.send(request[:9])
        with contextlib.suppress(TimeoutError):  # no more is read of it
            while True:
                client.send(request[9:] + request[:9])
        client.socket.settimeout(sockets.PATIENCE)
        with pytest.raises(ConnectionError):
            while True:
                client.send(request[9:])


def test_a_head_that_is_on_its_way_at_the_drain_deadline_is_cut(start, address, http_server):
    baton = start(staying(address, http_server.address, listener={"protocol": "http"}))
    with Client(address) as client:
        assert client.ask().status == 200
        client.send("GET / HT")
        baton.reload("--drain-time", "100ms", "--wait-drained")
        with pytest.raises(ConnectionResetError):
            client.socket.recv(1)
    assert baton.metric("baton_listener_connections_cut_total") == 1


def test_an_answer_until_the_end_is_whole_although_a_reset_came_with_it(start, address, log):
    """The endpoint reads nothing of the upload, so its close is a reset behind its end; Baton sees both at once."""
    stuck = threading.Event()

    def refuse(connection):
        Reader(connection).head(Request)
        stuck.wait(20)
        connection.sendall(b"HTTP/1.0 403 No\r\n\r\nno")
        connection.shutdown(socket.SHUT_WR)

    with Upstream(refuse) as upstream:
        baton = start(web(address, upstream.address, log=log.path))
        pid = baton.in_charge()["pid"]
        with Client(address) as client:
            client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
            client.socket.settimeout(0.5)
            with pytest.raises(TimeoutError):
                while True:
                    client.send(bytes(1 << 20))
            client.socket.settimeout(sockets.PATIENCE)
            processes.suspend(pid)
            stuck.set()
            wait_until(lambda: upstream.open_connections == 0, 10, "the endpoint has closed")
            os.kill(pid, signal.SIGCONT)
            assert client.reader.response("PUT").body == b"no"
    assert log.last()["flags"] is None


TUNNELS = {"upgrades": ["echo"], "stream_idle_timeout": LIMIT}
UPGRADE = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


def test_an_idle_tunnel_whose_bytes_nobody_took_is_reset(start, address, log):
    """An end would pass for that of the whole."""
    with RawServer(SWITCH + bytes(4 * LENGTH), "wait") as upstream:
        baton = start(web(address, upstream.address, http=TUNNELS, log=log.path))
        with Client(address) as client:
            client.send(UPGRADE)
            wait_until(lambda: baton.metric("baton_http_upgrades_total") == 1, 10, "it is a tunnel")
            wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 20, "its time is over")
            with pytest.raises(ConnectionResetError):
                sockets.read_all(client.socket)
    assert log.last()["flags"] == "SI"


def test_a_tunnel_is_not_idle_whose_bytes_came_while_the_proxy_did_not_run(start, address):
    def serve(connection):
        Reader(connection).head(Request)
        connection.sendall(SWITCH)
        while data := connection.recv(1 << 16):
            connection.sendall(data)

    with Upstream(serve) as upstream:
        baton = start(web(address, upstream.address, workers=1, http=TUNNELS))
        pid = baton.in_charge()["pid"]
        with Client(address) as client:
            client.send(UPGRADE)
            client.reader.head(Response)
            sockets.ask(client.socket, b"it runs")
            began = time.monotonic()
            processes.suspend(pid)
            client.socket.sendall(b"in time")
            wait_until(lambda: time.monotonic() - began > 1.5, 10, "the stall is longer than the limit")
            os.kill(pid, signal.SIGCONT)
            assert sockets.read_exactly(client.socket, 7) == b"in time"

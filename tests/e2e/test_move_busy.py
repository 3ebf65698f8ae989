"""Clients that always have a request under way move all the same: at a boundary, at once."""

import itertools
import re
import threading
import time

import pytest
from harness import sockets
from harness.baton import NEXT_PROXY, PROXY

from harness.load import Wrk
from harness.tables import relay
from harness.upstreams import Upstream
from harness.waiting import wait_until

# Not long: whoever has not moved by then is cut.
SHORT = {"probation": "20ms", "drain_time": "3s"}
HEAD = re.compile(rb"GET /(\d*) HTTP/1\.1\r\n.*?\r\n\r\n", re.DOTALL)


class SlowServer:
    """Answers each request with its path, after this time; and knows what it has been asked."""

    def __init__(self, latency):
        self.latency = latency
        self.asked = []

    def __call__(self, connection):
        received = b""
        while data := connection.recv(1 << 16):
            received += data
            while head := HEAD.match(received):
                received = received[head.end():]
                self.asked.append(head[1])
                time.sleep(self.latency)  # what it is for
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(head[1]), head[1]))


def web_relay(address, upstream):
    return relay(address, upstream.address, workers=2, supervisor=SHORT, listener={"protocol": "http"})


@pytest.mark.parametrize("latency", [0.0, 0.005, 0.05])
def test_clients_that_ask_at_once_keep_their_connections(start, address, latency):
    with Upstream(SlowServer(latency)) as upstream:
        baton = start(web_relay(address, upstream))
        with Wrk(address, connections=32) as wrk:
            wait_until(lambda: baton.metric("baton_listener_connections_active") == 32, 10, "all are there")
            accepted = baton.metric("baton_listener_connections_total")
            for number in range(4):
                baton.reload("--proxy", (NEXT_PROXY, PROXY)[number % 2])
                baton.wait_drained(moved_in=32)
            result = wrk.finish()
        assert not result.failed(), result
        assert baton.metric("baton_listener_connections_total") == accepted, "somebody had to come again"
        assert baton.metric("baton_connections_moved_total") == 4 * 32
        assert baton.metric("baton_listener_connections_cut_total") == 0


def test_an_immediate_drain_ends_nobody_who_can_move(start, address):
    with Upstream(SlowServer(0.0)) as upstream:
        configs = [{**web_relay(address, upstream), "proxy": {"workers": workers}} for workers in (7, 8)]
        baton = start(configs[0])
        with Wrk(address, connections=32) as wrk:
            wait_until(lambda: baton.metric("baton_listener_connections_active") == 32, 10, "all are there")
            accepted = baton.metric("baton_listener_connections_total")
            for number in range(1, 11):
                baton.write(configs[number % 2])
                baton.reload("--drain-strategy", "immediate")
                baton.wait_drained()
            result = wrk.finish()
        assert not result.failed(), result
        assert baton.metric("baton_listener_connections_total") == accepted, "somebody had to come again"


def ask_ahead(client, ahead, stop, answers):
    """Always has so many requests under way, each with a number; ends when they are answered."""
    numbers = itertools.count()
    under_way = 0
    while under_way or not stop.is_set():
        while under_way < ahead and not stop.is_set():
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % next(numbers))
            under_way += 1
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sockets.read_exactly(client, 1)
        length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])
        answers.append(sockets.read_exactly(client, length))
        under_way -= 1


def test_clients_with_requests_waiting_move_with_them(start, address):
    server = SlowServer(0.002)
    with Upstream(server) as upstream:
        baton = start(web_relay(address, upstream))
        stop, clients = threading.Event(), [sockets.connect(address) for _ in range(4)]
        answers = [[] for _ in clients]
        threads = [threading.Thread(target=ask_ahead, args=(client, 2 + 6 * i, stop, answers[i]))
                   for i, client in enumerate(clients)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            wait_until(lambda: baton.metric("baton_listener_connections_active") == 4, 10, "all are there")
            baton.reload()
            baton.wait_drained(moved_in=4)
        stop.set()
        for thread in threads:
            thread.join(20)
        for each in answers:
            assert each == [b"%d" % number for number in range(len(each))], "out of order"
            assert len(each) > 10
        assert len(server.asked) == sum(map(len, answers)), "some were asked twice"
        assert baton.metric("baton_listener_connections_total") == 4
        for client in clients:
            client.close()


@pytest.mark.parametrize("drain", [("0",), ("0", "--drain-strategy", "immediate"), ("1ms",), ("30ms",)], ids=" ".join)
def test_no_drain_time_is_too_short_to_move(start, address, echoer, drain):
    baton = start(relay(address, echoer.address, workers=1, supervisor=SHORT))
    clients = [sockets.connect(address) for _ in range(400)]
    for client in clients:
        sockets.ask(client, b"before")
    baton.reload("--drain-time", *drain)
    baton.wait_drained(moved_in=400)
    for client in clients:
        sockets.ask(client, b"after")
        client.close()
    assert baton.metric("baton_listener_connections_cut_total") == 0


def test_at_the_deadline_only_what_cannot_move_is_cut(start, address):
    with Upstream(SlowServer(30)) as upstream:
        baton = start(web_relay(address, upstream))
        waiting, idle = sockets.connect(address), sockets.connect(address)
        waiting.sendall(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: upstream.handle.asked, 10, "it has asked")
        wait_until(lambda: baton.metric("baton_listener_connections_active") == 2, 10, "the other one is there")
        baton.reload("--drain-time", "0")
        baton.wait_drained(moved_in=1)
        with pytest.raises(ConnectionResetError):
            waiting.recv(1)
        assert baton.metric("baton_listener_connections_cut_total") == 1
        assert baton.metric("baton_listener_connections_active") == 1
        idle.close()


def test_nobody_gets_in_beyond_the_limit_while_connections_move(start, address, echoer):
    limit = 40
    baton = start(relay(address, echoer.address, workers=2, supervisor=SHORT,
                        listener={"max_connections": limit}))
    held = [sockets.connect(address) for _ in range(limit)]
    for client in held:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    waiting = [sockets.connect(address) for _ in range(200)]
    for _ in range(20):
        baton.reload()
    for client in held:
        client.sendall(b"y")
        assert client.recv(1) == b"y"
    assert baton.metric("baton_listener_connections_total") == limit
    for client in held + waiting:
        client.close()

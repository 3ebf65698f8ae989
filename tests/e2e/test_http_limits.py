"""What a client may not do, and how long it may take; each with its mark in the access log."""

import os
import select
import signal
import threading
import time

import pytest
from harness import processes, sockets
from harness.http import Client, Ended, HttpServer, RawServer, answer, ask
from harness.tables import web
from harness.waiting import wait_until

SHORT = "150ms"


def refused(address, request):
    """The answer to a request that ends its connection."""
    with Client(address) as client:
        client.send(request)
        response = client.reader.response()
        assert response.get("connection") == "close"
        assert client.is_closed()
        return response.status


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET /" + b"a" * 1100 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 2100 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 5000, 431),
    (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n", 413),
    (b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7D0\r\n" + b"c" * 2000, 413),
    (b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n", 413),
], ids=["line", "header", "headers", "unfinished header", "length", "chunks", "expecting"])
def test_what_is_too_long_is_refused(start, address, http_server, log, request_bytes, status):
    limits = {"request_line_bytes": "1KiB", "header_bytes": "2KiB", "header_count": 10, "body_bytes": "1KiB"}
    baton = start(web(address, http_server.address, http=limits, log=log.path))
    assert refused(address, request_bytes) == status
    entry = log.last()
    assert entry["status"] == status and entry["flags"] == "DPE", entry
    # Which request it was is known once all of its head is.
    assert (entry["method"], entry["path"]) == (("PUT", "/") if status == 413 else (None, None))
    assert not http_server.requests
    assert baton.metric("baton_http_rejected_total", listener="front") == 1
    assert ask(address, "PUT", body=b"d" * 1024, headers={"A": "b" * 1900}).status == 200


def test_a_slow_loris_is_answered_and_closed(start, address, http_server, log):
    """However steadily its bytes come."""
    start(web(address, http_server.address, http={"header_timeout": "300ms"}, log=log.path))
    begin = time.monotonic()
    with Client(address) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n")

        def answered():
            with_more = time.monotonic() - begin < 5
            assert with_more, "it may go on for ever"
            client.socket.setblocking(False)
            try:
                client.reader.buffer += client.socket.recv(1 << 12)
            except BlockingIOError:
                pass
            finally:
                client.socket.settimeout(sockets.PATIENCE)
            if not client.reader.buffer:
                client.send("A: b\r\n")
            return client.reader.buffer

        wait_until(answered, 5, "an answer")
        assert client.reader.response().status == 408
        assert client.is_closed()
    assert time.monotonic() - begin >= 0.29
    assert log.last()["status"] == 408 and log.last()["flags"] == "RT"


def test_a_connection_that_says_nothing_is_closed_without_a_word(start, address, log):
    start(web(address, http={"keep_alive_timeout": SHORT}, log=log.path))
    with Client(address) as client:
        assert client.is_closed()
    assert not log.lines()


def test_a_kept_connection_is_closed_when_nothing_follows(start, address, http_server):
    start(web(address, http_server.address, http={"keep_alive_timeout": "2s"}))
    with Client(address) as client:
        for _ in range(3):
            assert client.ask().status == 200
        assert client.is_closed()


def test_a_request_that_came_in_time_is_answered_though_it_is_read_late(start, address, http_server):
    """As after a machine stood still: nobody is closed whose request is there."""
    baton = start(web(address, http_server.address, workers=1, http={"keep_alive_timeout": "500ms"}))
    pid = baton.in_charge()["pid"]
    with Client(address) as client:
        assert client.ask().status == 200
        processes.suspend(pid)
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        late = time.monotonic() + 1
        wait_until(lambda: time.monotonic() > late, 5, "its time is over")
        os.kill(pid, signal.SIGCONT)
        assert client.reader.response().status == 200
        assert client.is_closed()


def test_a_slow_answer_is_no_idle_connection(start, address):
    with RawServer([b"HTTP/1.1 200 OK\r\n", b""], "wait") as upstream:
        start(web(address, upstream.address, http={"keep_alive_timeout": "1s"},
                  routes=[{"cluster": "back", "timeout": "2500ms"}]))
        assert ask(address).status == 504


def test_an_upload_that_takes_too_long_is_ended(start, address, http_server, log):
    start(web(address, http_server.address, http={"request_timeout": SHORT}, log=log.path))
    assert refused(address, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345") == 408
    assert log.last()["flags"] == "RT" and not http_server.requests


@pytest.mark.parametrize("where", ["listener", "route"])
def test_a_stream_on_which_nothing_moves_is_ended(start, address, where, log):
    http = {"stream_idle_timeout": SHORT if where == "listener" else "1h"}
    routes = [{"cluster": "back", "timeout": "0", **({"idle_timeout": SHORT} if where == "route" else {})}]
    with RawServer(b"", "wait") as upstream:
        start(web(address, upstream.address, http=http, routes=routes, log=log.path))
        assert ask(address).status == 504
        assert log.last()["flags"] == "SI"
        wait_until(lambda: upstream.ends == 1, 10, "the upstream is let go of")


def test_a_client_that_does_not_go_on_with_its_body_is_told_so(start, address, log):
    with RawServer(b"", "wait") as upstream:
        start(web(address, upstream.address, http={"stream_idle_timeout": SHORT}, log=log.path))
        assert refused(address, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345") == 408
        assert (log.last()["flags"], log.last()["details"]) == ("SI", "request_idle_timeout")
        # Here it is the upstream's turn: it has not said that it wants the body.
        assert refused(address, "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                       "Content-Length: 10\r\n\r\n") == 504


def test_a_route_may_be_idle_for_longer_than_its_listener(start, address):
    with RawServer(b"", "wait") as upstream:
        start(web(address, upstream.address, http={"stream_idle_timeout": "50ms"},
                  routes=[{"cluster": "back", "timeout": "400ms", "idle_timeout": "0"}]))
        begin = time.monotonic()
        assert ask(address).status == 504
        assert time.monotonic() - begin >= 0.39


def test_an_answer_that_stops_in_the_middle_is_cut(start, address, log):
    with RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345", "wait") as upstream:
        start(web(address, upstream.address, routes=[{"cluster": "back", "timeout": "1s"}], log=log.path))
        with Client(address) as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(Ended):
                client.reader.response()
        entry = log.last()
        assert entry["status"] == 200 and entry["flags"] == "UT" and entry["sent"] == 5, entry


def test_a_download_that_makes_progress_is_not_cut(start, address, node):
    """The route's timeout is for waiting, not for the whole."""
    start(web(address, node.address, routes=[{"cluster": "back", "timeout": "1s"}]))
    assert ask(node.address, path="/stream?1").status == 200  # its first answer takes it longest
    begin = time.monotonic()
    with Client(address, receive_buffer=4096) as client:
        client.send("GET /stream?3000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = len(client.reader.line())
        while time.monotonic() - begin < 2:  # a client that takes its time
            got += len(client.socket.recv(64))
        assert len(client.reader.rest()) + got > 3_000_000 - (1 << 16)


def test_a_last_answer_waits_for_a_client_that_takes_a_break(start, address):
    size = 8_000_000
    start(web(address, routes=[{"direct_response": {"status": 200, "body": "x" * size}}]))
    with Client(address) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() - begin > 12, 20, "the break is over")
        assert len(client.reader.response().body) == size
        assert client.reader.at_end()


def test_a_connection_ends_after_so_many_requests(start, address, http_server):
    start(web(address, http_server.address, http={"max_requests_per_connection": 3}))
    with Client(address) as client:
        said = [client.ask().get("connection") for _ in range(3)]
        assert said == [None, None, "close"] and client.is_closed()


def test_an_answer_before_the_body_leaves_no_second_reading(start, address, http_server):
    """Whoever asked for leave may send the body, or not: so nothing is read behind the answer."""
    start(web(address, http_server.address, routes=[{"path": "/no", "direct_response": {"status": 403}},
                                                    {"cluster": "back"}]))
    assert refused(address, "PUT /no HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                            "Content-Length: 33\r\n\r\nGET /yes HTTP/1.1\r\nHost: evil\r\n\r\n") == 403
    assert not http_server.requests


def test_a_short_body_of_a_refused_request_is_read_to_keep_the_connection(start, address, http_server):
    start(web(address, http_server.address, routes=[{"path": "/no", "direct_response": {"status": 403}},
                                                    {"cluster": "back"}]))
    with Client(address) as client:
        assert client.ask("PUT", "/no", body=b"x" * 50_000).status == 403
        assert client.ask("PUT", "/", body=b"x").status == 200
        assert client.ask("PUT", "/no", body=b"x" * 500_000).get("connection") == "close"
    assert [len(request.body) for request in http_server.requests] == [1]


class SlowUpload:
    """A client that looks for its answer only when all of its body is written."""

    def __init__(self, address, size):
        self.client = Client(address)
        self.client.send(f"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")
        self.left = size

    def write(self, count):
        self.client.send(b"x" * count)
        self.left -= count


def broken_within(sock, seconds):
    """Whether the peer ends the connection, both ways or by a reset, within that time."""
    poller = select.poll()
    poller.register(sock, 0)  # POLLERR and POLLHUP are told unasked
    return bool(poller.poll(1000 * seconds))


def test_an_early_answer_reaches_a_client_that_writes_its_whole_body_first(start, address, log):
    start(web(address, "127.0.0.1:1", http={"body_bytes": "1MiB"}, log=log.path))
    upload = SlowUpload(address, 100 << 20)
    upload.write(10 << 20)
    assert log.last(1)["status"] == 413
    # As long as a client may be silent, and more than no time at all.
    assert not broken_within(upload.client.socket, 3)
    upload.write(upload.left)
    with upload.client as client:
        response = client.reader.response()
        assert (response.status, response.get("connection")) == (413, "close")
        assert client.is_closed()


def test_a_client_that_stays_behind_its_last_answer_is_let_go(start, address):
    baton = start(web(address, "127.0.0.1:1", http={"body_bytes": "1KiB"}))
    upload = SlowUpload(address, 1 << 20)
    upload.write(1)
    with upload.client as client:
        assert client.reader.response().status == 413
        assert client.reader.at_end()
        wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "it is gone")


def test_a_client_that_half_closes_may_be_given_more_time(start, address):
    may_answer = threading.Event()

    def respond(_request):
        assert may_answer.wait(sockets.PATIENCE)
        return answer()

    with HttpServer(respond) as upstream:
        start(web(address, upstream.address, http={"half_close_timeout": "0"}))
        with Client(address) as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            client.socket.shutdown(1)
            # More than by default.
            assert not broken_within(client.socket, 2)
            may_answer.set()
            assert client.reader.response().status == 200
            assert client.reader.at_end()


@pytest.mark.parametrize("leaving", ["reset", "close", "half-close"])
def test_a_client_that_leaves_frees_the_upstream(start, address, leaving, log):
    with RawServer(b"", "wait") as upstream:
        baton = start(web(address, upstream.address, routes=[{"cluster": "back", "timeout": "1h"}],
                          log=log.path))
        client = Client(address)
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: upstream.heads == 1, 5, "the request is there")
        if leaving == "reset":
            sockets.reset(client.socket)
        elif leaving == "close":
            client.close()
        else:
            client.socket.shutdown(1)
        wait_until(lambda: upstream.ends == 1, 10, "the upstream sees the end")
        client.close()
        assert log.last()["flags"] == "DC" and log.last()["status"] == 0
        wait_until(lambda: baton.metric("baton_http_requests_active") == 0, 5, "gauge")


def test_a_client_that_leaves_in_the_middle_of_an_upload_frees_the_upstream(start, address, log):
    with HttpServer(lambda request: answer()) as upstream:
        start(web(address, upstream.address, log=log.path))
        client = Client(address)
        client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n12345")
        wait_until(lambda: upstream.open_connections == 1, 5, "the request is there")
        client.close()
        wait_until(lambda: upstream.open_connections == 0, 10, "the upstream sees the end")
        assert log.last()["flags"] == "DC" and not upstream.requests

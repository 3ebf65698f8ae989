"""Upstreams that answer wrongly, late, too much or not at all: an answer, a flag, never a mixture."""

import threading

import pytest
from harness import sockets
from harness.http import Client, Ended, HttpServer, RawServer, Reader, answer, ask
from harness.tables import web
from harness.upstreams import Unresponsive, Upstream, hang, refusing_address
from harness.waiting import wait_until

OK = b"HTTP/1.1 200 OK\r\n"

# What is said, what is done then, the client's status, the flag.
INSTEAD_OF_A_RESPONSE = {
    "garbage": (b"220 smtp.example ready\r\n", "wait", 502, "UPE"),
    "binary": (bytes(range(256)) * 10, "wait", 502, "UPE"),
    "nothing": (b"", "close", 502, "UC"),
    "reset": (b"", "reset", 502, "UC"),
    "half a head": (OK + b"Content-Le", "close", 502, "UC"),
    "half a head and half-closed": (OK + b"Content-Le", "half-close", 502, "UC"),
    "never": (b"", "wait", 504, "UT"),
    "a head that never ends": (OK + b"A: b\r\n", "wait", 504, "UT"),
    "only interim": (b"HTTP/1.1 100 Continue\r\n\r\n", "close", 502, "UC"),
    "a flood of interim": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, "wait", 502, "UPE"),
    "a bomb of headers": (OK + b"".join(b"A%d: b\r\n" % i for i in range(100_000)), "wait", 502, "UPE"),
    "a long header": (OK + b"A: " + b"b" * 1_000_000 + b"\r\n\r\n", "wait", 502, "UPE"),
    "a long reason": (b"HTTP/1.1 200 " + b"b" * 1_000_000, "wait", 502, "UPE"),
    "two lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "wait", 502, "UPE"),
    "length and chunks": (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                          "wait", 502, "UPE"),
    "a bad length": (OK + b"Content-Length: +3\r\n\r\nabc", "wait", 502, "UPE"),
    "a bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "wait", 502, "UPE"),
    "a folded line": (OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n", "wait", 502, "UPE"),
    "gzip as transfer coding": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                                "wait", 502, "UPE"),
    "a NUL": (OK + b"A: \0\r\nContent-Length: 0\r\n\r\n", "wait", 502, "UPE"),
    "status 99": (b"HTTP/1.1 99 No\r\n\r\n", "wait", 502, "UPE"),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\n\r\n", "wait", 502, "UPE"),
    "an empty line first": (b"\r\n" + OK + b"Content-Length: 0\r\n\r\n", "wait", 502, "UPE"),
}


@pytest.fixture
def front(start, address, log):
    """One Baton for many upstreams, each a route and cluster of its own by its number."""

    def make(upstreams, flags, **options):
        tables = web(address, log=log.path, routes=[
            {"path": f"/{i}", "cluster": f"c{i}", "timeout": "2s" if flag == "UT" else "10s"}
            for i, flag in enumerate(flags)], **options)
        tables["cluster"] = [{"name": f"c{i}", "endpoints": [each.address]}
                             for i, each in enumerate(upstreams)]
        return start(tables)

    return make


def entry_of(log, path):
    entries = [entry for entry in log.entries() if entry["path"] == path]
    assert len(entries) <= 1, entries
    return entries[0] if entries else None


def test_each_wrong_answer_has_its_status_and_flag(front, address, log):
    """One after the other on one kept connection, which none of them harms."""
    cases = list(INSTEAD_OF_A_RESPONSE.items())
    servers = [RawServer(data, after) for _, (data, after, _, _) in cases]
    try:
        baton = front(servers, [flag for _, (_, _, _, flag) in cases])
        found, wanted = {}, {}
        with Client(address) as client:
            for i, (name, (_, _, status, flag)) in enumerate(cases):
                response = client.ask(path=f"/{i}")
                entry = wait_until(lambda path=f"/{i}": entry_of(log, path), 5, f"{name} is logged")
                found[name] = (response.status, entry["status"], entry["flags"], entry["details"] != "-")
                wanted[name] = (status, status, flag, True)
        assert found == wanted
        # Nobody is kept waiting, by an upstream that waits.
        wait_until(lambda: all(s.ends == 1 for s in servers if s.after == "wait"), 5, "all are let go of")
        assert baton.metric("baton_upstream_requests_active") == 0
    finally:
        for each in servers:
            each.close()


# The head is sent, so only the end can tell: a reset, or an end of chunks that never comes.
IN_THE_MIDDLE = {
    "too short": (OK + b"Content-Length: 100\r\n\r\n12345", "close", "UC"),
    "reset": (OK + b"Content-Length: 100\r\n\r\n12345", "reset", "UC"),
    "chunks without an end": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", "close", "UC"),
    "a bad chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n", "wait", "UPE"),
    "a chunk without its line end": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345X", "wait", "UPE"),
    "a trailer that frames": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n"
                              b"Content-Length: 5\r\n\r\n", "wait", "UPE"),
    "never": (OK + b"Content-Length: 100\r\n\r\n12345", "wait", "UT"),
}


def test_an_answer_that_breaks_off_is_not_taken_for_whole(front, address, log):
    cases = list(IN_THE_MIDDLE.items())
    servers = [RawServer(data, after) for _, (data, after, _) in cases]
    try:
        front(servers, [flag for _, (_, _, flag) in cases])
        found = {}
        for i, (name, _) in enumerate(cases):
            with Client(address) as client:
                with pytest.raises((ConnectionResetError, Ended)):
                    print(name, client.ask(path=f"/{i}"))
            entry = wait_until(lambda path=f"/{i}": entry_of(log, path), 5, f"{name} is logged")
            found[name] = (entry["status"], entry["flags"])
        assert found == {name: (200, flag) for name, (_, _, flag) in cases}
    finally:
        for each in servers:
            each.close()


def test_what_an_upstream_says_behind_its_answer_is_nobodys(start, address, log):
    """Response splitting: the bytes of a second answer must not become that of the next request."""
    extra = OK + b"Content-Length: 4\r\n\r\nreal" + OK + b"Content-Length: 4\r\n\r\nevil"
    with RawServer(extra, "wait") as upstream:
        start(web(address, upstream.address, workers=1, log=log.path))
        with Client(address) as client:
            for i in range(5):
                assert client.ask(path=f"/{i}").body == b"real"
        assert upstream.accepted == 5  # none was used again


def test_an_idle_upstream_connection_that_speaks_is_dropped(start, address):
    """Whatever comes between two requests belongs to neither."""
    spoke = []

    def converse(connection):
        reader = Reader(connection)
        reader.request()
        connection.sendall(answer(body=b"first"))
        if not spoke:
            spoke.append(True)
            connection.sendall(answer(body=b"unasked"))
        while connection.recv(1 << 12):
            pass

    with Upstream(converse) as upstream:
        start(web(address, upstream.address, workers=1))
        with Client(address) as client:
            assert client.ask().body == b"first"
            wait_until(lambda: upstream.open_connections == 0, 5, "it is dropped")
            assert client.ask().body == b"first"


def test_an_early_answer_ends_an_upload(start, address, log):
    """The upstream answers and closes while the body is still coming: its answer arrives."""
    with RawServer(OK.replace(b"200 OK", b"403 No") + b"Content-Length: 2\r\n\r\nno", "close") as upstream:
        start(web(address, upstream.address, log=log.path))
        with Client(address) as client:
            client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
            response = client.reader.response()
            assert response.status == 403 and response.body == b"no"
            assert response.get("connection") == "close"
    assert log.last()["status"] == 403


def test_an_answer_until_close_reaches_the_client_whole(start, address):
    body = sockets.pattern(300_000)
    with RawServer(b"HTTP/1.0 200 OK\r\n\r\n" + body, "close") as upstream:
        start(web(address, upstream.address))
        with Client(address) as client:
            for _ in range(2):
                response = client.ask()
                assert response.body == body and response.all("transfer-encoding") == ["chunked"]


def test_a_refused_connection_is_an_answer_at_once(start, address, log):
    start(web(address, refusing_address(), log=log.path))
    with Client(address) as client:
        for _ in range(3):
            assert client.ask().status == 503
    assert {(entry["status"], entry["flags"]) for entry in log.entries(3)} == {(503, "UF")}


def test_a_connection_that_cannot_be_made_takes_its_time_and_no_more(start, address, log):
    with Unresponsive() as upstream:
        start(web(address, upstream.address, cluster={"connect_timeout": "200ms"}, log=log.path))
        assert ask(address).status == 503
    assert log.last()["flags"] == "UF"


def test_an_upstream_that_reads_nothing_costs_no_memory_and_times_out(start, address, log):
    with Upstream(hang) as upstream:
        start(web(address, upstream.address, http={"stream_idle_timeout": "3s"}, log=log.path))
        with Client(address) as client:
            client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            client.socket.settimeout(1)  # its buffers are full by then
            with pytest.raises((TimeoutError, ConnectionError)):
                while True:
                    client.socket.sendall(b"x" * (1 << 16))
            client.socket.settimeout(sockets.PATIENCE)
            assert client.reader.response().status == 504
    assert log.last()["flags"] == "SI"


def test_answers_are_never_mixed_up(start, address):
    """Many clients, some of which leave early, on few upstream connections that die now and then."""
    counter = iter(range(1_000_000))

    def respond(request):
        number = next(counter)
        if number % 17 == 0:
            return None
        early = b"HTTP/1.1 103 Hints\r\n\r\n" if number % 5 == 0 else b""
        return early + answer(body=request.path.encode() * (1 + number % 50))

    failures = []

    def loop(name):
        for i in range(60):
            path = f"/{name}/{i}/"
            try:
                with Client(address) as client:
                    if i % 7 == 0:
                        client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
                        continue
                    for n in range(3):
                        response = client.ask(path=f"{path}{n}")
                        if response.status == 200:
                            assert set(response.body.decode().split(f"{path}{n}")) == {""}, response.body
                        else:
                            assert response.status == 502, response
            except (OSError, AssertionError) as error:
                failures.append(error)

    with HttpServer(respond) as upstream:
        start(web(address, upstream.address))
        threads = [threading.Thread(target=loop, args=(name,)) for name in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failures, failures[:3]
        assert not upstream.broken

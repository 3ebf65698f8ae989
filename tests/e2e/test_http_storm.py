"""The promise for HTTP: reload as often as you like, no request fails and no count is wrong."""

import hashlib
import json
import re
import threading

import pytest
from harness import processes, sockets
from harness.access_log import AccessLog
from harness.baton import FAILED, NEXT_PROXY, PROXY, run
from harness.http import Client, HttpServer, Message, RawServer, answer, ask
from harness.load import Wrk
from harness.tables import web
from harness.waiting import wait_until

QUICK = {"probation": "20ms", "drain_time": "10s", "drain_strategy": "immediate"}


class Uploads:
    """Threads that upload 1 to 4 MB each, with pauses, on kept connections, and check the digest."""

    def __init__(self, address, clients=8):
        self.address, self.done, self.failures = address, 0, []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._loop, args=(i,), daemon=True) for i in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(3 * sockets.PATIENCE)

    def _loop(self, number):
        client = None
        while not self._stop.is_set():
            client = client or Client(self.address)
            body = sockets.pattern((1 + number % 4) << 20, seed=number)
            try:
                client.send(f"PUT /digest HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n")
                for at in range(0, len(body), 1 << 18):
                    client.send(body[at:at + (1 << 18)])
                    self._stop.wait(0.02)  # a slow client, not a synchronisation
                response = client.reader.response()
                assert response.status == 200, response
                assert json.loads(response.body)["digest"] == hashlib.sha256(body).hexdigest()
                self.done += 1
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(error)
                response = None
            if response is None or response.get("connection") == "close":
                client.close()
                client = None
        if client:
            client.close()


def with_uploads(address, upstream, node, **options):
    routes = [{"path": "/digest", "cluster": "node"}, {"cluster": "back"}]
    tables = web(address, upstream, routes=routes, **options)
    tables["cluster"].append({"name": "node", "endpoints": [node]})
    return tables


@pytest.mark.parametrize("strategy", ["immediate", "gradual"])
def test_100_reloads_fail_no_request(start, address, nginx, node, strategy, capsys):
    """64 kept connections, 64 short ones and 8 uploads at any moment; two binaries in turn."""
    supervisor = {**QUICK, "drain_strategy": strategy, "drain_time": "30s", "max_draining": 32}
    count = 100 if strategy == "immediate" else 30
    baton = start(with_uploads(address, nginx.address, node.address, supervisor=supervisor))
    with Uploads(address) as uploads, Wrk(address) as kept, Wrk(address, close=True) as short:
        for i in range(count):
            baton.reload("--proxy", (NEXT_PROXY, PROXY)[i % 2])
        results = [kept.finish(), short.finish()]
    assert not uploads.failures, uploads.failures[:3]
    for result in results:
        assert not result.failed() and result.requests > 500, result.text
    assert baton.wait_drained()["id"] == count + 1
    assert baton.metric("baton_listener_connections_cut_total") == 0
    wait_until(lambda: baton.metric("baton_http_requests_active") == 0, 5, "gauge")
    with capsys.disabled():
        print(f" [{results[0].requests} + {results[1].requests} requests, {uploads.done} uploads]", end="")


class H2load:
    """h2load(1) with HTTP/1.1 in the background: so many requests, each accounted for."""

    def __init__(self, address, requests, connections=32, path="/"):
        self.requests = requests
        self.words = ["h2load", "--h1", "-n", requests, "-c", connections, f"http://{address}{path}"]
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        self.answer = run(*self.words, seconds=90)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(100)

    def running(self):
        return self.thread.is_alive()

    def statuses(self):
        counts = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", self.answer.out)
        assert counts, self.answer
        return [int(count) for count in counts.groups()]


def assert_counted(baton, log, requests, statuses):
    """What Baton has counted, and logged or counted as dropped, is what the client says it has got."""
    classes = dict(zip(["2xx", "3xx", "4xx", "5xx"], statuses))

    def figures():
        found = {name: baton.metric("baton_http_responses_total", **{"class": name}) for name in classes}
        found["requests"] = baton.metric("baton_http_requests_total")
        for gauge in ("baton_http_requests_active", "baton_upstream_requests_active",
                      "baton_listener_connections_active"):
            found[gauge] = baton.metric(gauge)
        found["log"] = len(log.lines()) + baton.metric("baton_access_log_dropped_total")
        return found

    wanted = {**classes, "requests": requests, "baton_http_requests_active": 0,
              "baton_upstream_requests_active": 0, "baton_listener_connections_active": 0,
              "log": requests}
    wait_until(lambda: figures() == wanted, 10, lambda: f"\nwanted {wanted}\nfound  {figures()}")


def test_h2load_counts_what_baton_counts_over_reloads(start, address, nginx, log):
    routes = [{"path": "/no", "direct_response": {"status": 404}}, {"cluster": "back"}]
    baton = start(web(address, nginx.address, routes=routes, supervisor=QUICK, log=log.path))
    reloads = 0
    with H2load(address, 30_000) as good, H2load(address, 3000, path="/no") as bad:
        while good.running() or bad.running():
            baton.reload("--proxy", (NEXT_PROXY, PROXY)[reloads % 2])
            reloads += 1
    assert "30000 succeeded, 0 failed, 0 errored, 0 timeout" in good.answer.out, good.answer
    assert "0 errored, 0 timeout" in bad.answer.out, bad.answer
    assert reloads >= 3
    assert (good.statuses(), bad.statuses()) == ([30_000, 0, 0, 0], [0, 0, 3000, 0])
    assert_counted(baton, log, 33_000, [30_000, 0, 3000, 0])
    assert len({entry["generation"] for entry in log.entries()}) > 1


def test_a_request_in_flight_ends_in_old(start, address):
    release = threading.Event()

    def respond(request):
        assert release.wait(sockets.PATIENCE)
        return answer(body=b"late")

    with HttpServer(respond) as upstream:
        baton = start(web(address, upstream.address, supervisor=QUICK))
        with Client(address) as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: upstream.requests, 5, "it is there")
            baton.reload("--no-wait")
            baton.wait_generation(1, "draining")
            release.set()
            response = client.reader.response()
            assert response.body == b"late" and response.get("connection") is None
            # Behind its answer the connection moves, and goes on there.
            assert baton.wait_drained(moved_in=1)["moved_in"] == 1
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.reader.response().body == b"late"
        assert baton.metric("baton_listener_connections_total") == 1


def test_a_request_that_outlives_the_drain_is_cut_and_marked(start, address, log):
    with RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", "wait") as upstream:
        baton = start(web(address, upstream.address, supervisor=QUICK, log=log.path))
        with Client(address) as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.reader.head(Message).first_line == "HTTP/1.1 200 OK"
            baton.reload("--drain-time", "100ms", "--wait-drained")
            with pytest.raises(ConnectionResetError):
                client.reader.rest()
        wait_until(lambda: upstream.ends == 1, 10, "the upstream is let go of")
    entry = log.last()
    assert (entry["status"], entry["flags"], entry["sent"]) == (200, "DT", 3)
    assert baton.metric("baton_http_resets_total") == 1
    assert baton.metric("baton_listener_connections_cut_total") == 1


def test_a_client_that_leaves_during_a_drain_is_marked_as_gone_not_as_cut(start, address, log):
    with RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", "wait") as upstream:
        baton = start(web(address, upstream.address, supervisor=QUICK, log=log.path))
        with Client(address) as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.reader.head(Message).first_line == "HTTP/1.1 200 OK"
            baton.reload()
            baton.wait_generation(1, "draining")
            sockets.reset(client.socket)
        assert log.last(1)["flags"] == "DC"
        baton.wait_drained()


def test_an_idle_kept_connection_is_usable_until_the_drain_is_over(start, address, http_server):
    # So long that the chance to be ended by an answer in the next seconds is next to nothing.
    supervisor = {"probation": "20ms", "drain_time": "720h", "drain_strategy": "gradual"}
    baton = start({**web(address, http_server.address, supervisor=supervisor),
                   "proxy": {"workers": 2, "move_connections": False}})
    with Client(address) as client:
        for _ in range(4):
            assert client.ask().status == 200
            baton.reload()
        assert client.ask().status == 200
        baton.do("drain", "--drain-time", "50ms")
        assert client.is_closed()
    assert baton.wait_drained()["id"] == 5


def test_new_dies_in_probation_under_http_load(start, address, nginx):
    """Only what it held is lost; old resumes, nobody is refused, and the load goes on."""
    baton = start(web(address, nginx.address, supervisor={"probation": "5s", "drain_strategy": "immediate"}))
    with Wrk(address, connections=32) as kept, Wrk(address, connections=32, close=True) as short:
        # All the kept ones, at least, are in old by then.
        wait_until(lambda: baton.metric("baton_http_requests_total") > 2000, 10, "load")
        reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
        new = baton.wait_generation(2, "serving")
        wait_until(lambda: baton.generations()[2]["connections"] > 0, 10, "it carries load")
        processes.kill(new["pid"])
        out, err = reload.communicate(timeout=20)
        assert reload.returncode == FAILED and "rolled back" in err, (out, err)
        assert ask(address).body == b"hello from upstream\n"
        before = baton.metric("baton_http_requests_total")
        wait_until(lambda: baton.metric("baton_http_requests_total") > before + 500, 10, "the load goes on")
        results = [kept.finish(), short.finish()]
    for result in results:
        assert result.bad_statuses == 0 and "connect 0" in (result.socket_errors or "connect 0"), result.text
    assert results[0].socket_errors == "", results[0].text  # these had stayed in old
    assert baton.wait_drained()["id"] == 1
    wait_until(lambda: baton.metric("baton_http_requests_active") == 0, 5, "gauge")


def test_the_only_generation_dies_under_http_load(start, address, nginx, log):
    """Its requests are lost; then a fresh one answers those who wait in the queue."""
    baton = start(web(address, nginx.address, log=log.path))
    with Wrk(address, connections=32) as kept, Wrk(address, connections=32, close=True) as short:
        wait_until(lambda: len(log.lines()) > 100, 10, "load")
        processes.kill(baton.in_charge()["pid"])
        baton.wait_generation(2, "serving")
        assert ask(address).status == 200
        before = len(log.lines())
        wait_until(lambda: len(log.lines()) > before + 500, 10, "the load goes on")
        results = [kept.finish(), short.finish()]
    for result in results:
        assert result.bad_statuses == 0 and "connect 0" in (result.socket_errors or "connect 0"), result.text
    wait_until(lambda: baton.metric("baton_http_requests_active") == 0
               and baton.metric("baton_upstream_requests_active") == 0, 5, "gauges")


# --- the access log


def test_the_log_is_rotated_under_load_without_a_line_lost(start, address, nginx, log):
    """Renamed and reopened, again and again, while generations come and go."""
    baton = start(web(address, nginx.address, supervisor=QUICK, log=log.path))
    files = []
    with H2load(address, 30_000) as load:
        while load.running():
            old = log.path.with_suffix(f".{len(files)}")
            log.path.rename(old)
            files.append(AccessLog(old))
            baton.process.send_signal(10)  # SIGUSR1
            wait_until(log.path.exists, 10, lambda: f"it is there again:\n{baton.log()}")
            baton.reload()
    assert load.statuses() == [30_000, 0, 0, 0], load.answer
    files.append(log)

    def lines():  # a disk that is too slow for so much costs lines, but each is counted
        written = sum(len(each.lines()) for each in files)
        return written + baton.metric("baton_access_log_dropped_total")

    wait_until(lambda: lines() == 30_000, 10,
               lambda: f"all lines: {[len(each.lines()) for each in files]}, {lines()} with those dropped")
    assert len(files) > 3
    assert {entry["status"] for each in files for entry in each.entries()} == {200}
    assert not any(each.text() and not each.text().endswith("\n") for each in files)


def test_the_default_format_is_one_line_whatever_a_client_sends(start, address, http_server, log):
    start(web(address, http_server.address, listener={"access_log": {"path": str(log.path)}}))
    with Client(address) as client:
        client.ask(path="/a?b", headers={"User-Agent": 'x" 200 \\ \xe9'.encode().decode("latin-1"),
                                         "X-Request-Id": "id-1"})
        client.ask("PUT", "/p", body=b"12345")
    wait_until(lambda: len(log.lines()) == 2, 5, log.text)
    first, second = log.lines()
    assert re.fullmatch(
        r'\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "GET /a\?b HTTP/1.1" 200 - - 0 20 \d+ \d+ "127.0.0.1" '
        r'"x\\x22 200 \\x5c \\xc3\\x83\\xc2\\xa9" "id-1" "example.com" "'
        + re.escape(http_server.address) + '"', first), first
    assert '"PUT /p HTTP/1.1" 200 - - 5 20 ' in second


def test_a_log_may_be_the_standard_output_or_none(start, address, http_server):
    baton = start(web(address, http_server.address, log="stdout"))
    assert ask(address, path="/told").status == 200
    baton.wait_for_log('"path":"/told"')
    baton.write(web(address, http_server.address, log="none"))
    baton.reload()
    assert ask(address, path="/silent").status == 200
    baton.stop()
    assert "/silent" not in baton.log()


def test_a_full_disk_costs_lines_and_no_request(start, address, http_server):
    baton = start(web(address, http_server.address, log="/dev/full"))
    assert [ask(address).status for _ in range(20)] == [200] * 20
    wait_until(lambda: baton.metric("baton_access_log_dropped_total") == 20, 5, "each is counted")


def test_a_log_that_cannot_be_opened_fails_the_reload(start, address, directory, log):
    baton = start(web(address, log=log.path))
    baton.write(web(address, log=directory / "missing" / "log"))
    answer_ = baton.ask("reload")
    assert answer_.code == FAILED and "missing/log" in answer_.err, answer_
    assert baton.in_charge()["id"] == 1

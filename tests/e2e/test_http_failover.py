"""Endpoints that fail, and what a client notices of it: retries, circuit breakers, health, ejection."""

import contextlib
import threading

import pytest
from harness import sockets
from harness.http import Client, HttpServer, RawServer, answer, ask
from harness.load import Wrk
from harness.tables import web
from harness.upstreams import Unresponsive, refusing_address
from harness.waiting import wait_until

QUICK = {"probation": "20ms", "drain_strategy": "immediate"}


def upstream_metric(baton, name):
    return baton.metric(f"baton_upstream_{name}", cluster="back")


def retrying(*reasons, **keys):
    return [{"cluster": "back", "retry": {"on": list(reasons), "budget_percent": 100, **keys}}]


def failing(status):
    return lambda request: answer(status, b"no", reason="No")


# --- retries


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_connection_is_tried_elsewhere(start, address, http_server, method, log):
    baton = start(web(address, refusing_address(), http_server.address, routes=retrying("connect-failure"),
                      cluster={"outlier_detection": {"consecutive_connect_failures": 0}}, log=log.path))
    assert [ask(address, method, body=b"x").status for _ in range(10)] == [200] * 10
    assert len(http_server.requests) == 10
    assert {entry["upstream"] for entry in log.entries(10)} == {http_server.address}
    assert upstream_metric(baton, "connect_failures_total") >= 4


@pytest.mark.parametrize("reason, method, keys, status", [
    ("5xx", "GET", {}, 200), ("gateway-error", "GET", {}, 200), ("reset", "GET", {}, 503),
    ("retriable-codes", "PUT", {"codes": [503]}, 200), ("retriable-codes", "PUT", {"codes": [404]}, 503),
    ("5xx", "POST", {}, 503), ("5xx", "POST", {"non_idempotent": True}, 200),
])
def test_an_answer_is_asked_for_again_if_it_may_be(start, address, http_server, log, reason,
                                                     method, keys, status):
    with HttpServer(failing(503)) as bad:
        start(web(address, bad.address, http_server.address, routes=retrying(reason, **keys), log=log.path,
                  workers=1))
        answers = [ask(address, method, body=b"body") for _ in range(2)]  # one of them begins at `bad`
        assert sorted(response.status for response in answers) == [200, status]
        assert {request.body for request in http_server.requests} == {b"body"}
        entries = log.entries(2)
        assert sorted(entry["attempts"] for entry in entries) == [1, 2 if status == 200 else 1]


@pytest.mark.parametrize("method, status", [("GET", 200), ("POST", 502)])
def test_a_reset_request_is_sent_again_only_if_it_may_be(start, address, http_server, method, status):
    with RawServer(b"", "reset") as bad:
        start(web(address, bad.address, http_server.address, workers=1, routes=retrying("reset")))
        assert sorted(ask(address, method, body=b"x").status for _ in range(2)) == [200, status]
        assert len(http_server.requests) == (2 if status == 200 else 1)


@pytest.mark.parametrize("framing", ["Content-Length: 11", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("how", ["503", "reset"])
def test_an_upload_in_progress_goes_on_at_another_endpoint(start, address, http_server, framing, how, log):
    """What has been sent so far is sent again, and the rest follows as it comes."""
    pieces = [b"hello ", b"wo", b"rld"]
    said = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n" if how == "503" else b""
    with RawServer(said, "wait" if how == "503" else "reset") as bad:
        start(web(address, bad.address, http_server.address, workers=1, routes=retrying("5xx", "reset"),
                  cluster={"keepalive": {"max_idle_connections": 0}}, log=log.path))
        for _ in range(2):  # one of them begins at `bad`
            had = http_server.accepted
            with Client(address) as client:
                client.send(f"PUT / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n")
                for i, piece in enumerate(pieces):
                    client.send(piece if "Length" in framing else b"%x\r\n%s\r\n" % (len(piece), piece))
                    if i == 0:
                        wait_until(lambda had=had: http_server.accepted > had, 5, "it is at the other one")
                client.send(b"" if "Length" in framing else b"0\r\n\r\n")
                assert client.reader.response().status == 200
        assert [request.body for request in http_server.requests] == [b"hello world"] * 2
        assert sorted(entry["attempts"] for entry in log.entries(2)) == [1, 2]


def test_retries_run_out(start, address, log):
    with HttpServer(failing(500)) as bad:
        baton = start(web(address, bad.address, routes=retrying("5xx", attempts=2), log=log.path))
        assert ask(address).status == 500
        assert len(bad.requests) == 3 and upstream_metric(baton, "retries_total") == 2
    assert (log.last()["flags"], log.last()["attempts"]) == ("URX", 3)


def test_a_try_that_takes_too_long_is_given_up_for_another(start, address, http_server):
    with RawServer(b"", "wait") as slow:
        start(web(address, slow.address, http_server.address, workers=1,
                  routes=retrying("reset", per_try_timeout="3s")))
        assert [ask(address).status for _ in range(2)] == [200, 200]
        wait_until(lambda: slow.ends == 1, 5, "the slow one is let go of")


def test_a_connection_that_takes_longer_than_a_try_may_is_given_up_for_another(start, address, http_server):
    with Unresponsive() as deaf:
        start(web(address, deaf.address, http_server.address, workers=1, cluster={"connect_timeout": "1h"},
                  routes=retrying("reset", per_try_timeout="3s")))
        assert [ask(address, "POST", body=b"x").status for _ in range(2)] == [200, 200]


def test_a_kept_connection_that_has_just_died_costs_nobody_a_request(start, address):
    """Without any configured retry: it says nothing about the endpoint."""
    last = []

    def respond(request):  # every second request finds its connection closed
        last.append(request)
        return answer() if len(last) % 2 else None

    with HttpServer(respond) as upstream:
        start(web(address, upstream.address, workers=1))
        with Client(address) as client:
            assert [client.ask().status for _ in range(10)] == [200] * 10


# --- circuit breakers


def test_a_circuit_breaker_answers_at_once(start, address, log):
    release = threading.Event()

    def respond(request):
        assert release.wait(sockets.PATIENCE)
        return answer()

    with HttpServer(respond) as upstream:
        baton = start(web(address, upstream.address, cluster={"max_requests": 2}, log=log.path))
        waiting = [Client(address).send("GET /in HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
        wait_until(lambda: len(upstream.requests) == 2, 5, "both are there")
        assert [ask(address, path="/out").status for _ in range(3)] == [503] * 3
        release.set()
        for client in waiting:
            assert client.reader.response().status == 200
            client.close()
        entries = log.entries(5)
        assert {(e["status"], e["flags"]) for e in entries if e["path"] == "/out"} == {(503, "UO")}
        assert ask(address).status == 200
        wait_until(lambda: upstream_metric(baton, "requests_active") == 0, 5, "gauge")


class Gate(HttpServer):
    """Answers when it is opened. `most`: requests at once, so far."""

    def __init__(self):
        self._lock = threading.Lock()
        self._inside = self.most = 0
        self.open = threading.Event()
        super().__init__(self._pass)

    def _pass(self, _request):
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        assert self.open.wait(sockets.PATIENCE)
        with self._lock:
            self._inside -= 1
        return answer()


def send_get(address, path="/"):
    return Client(address).send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")


def test_requests_wait_for_one_of_the_connections_whichever_worker_has_them(start, address):
    with Gate() as upstream:
        baton = start(web(address, upstream.address, workers=4, cluster={"max_connections": 2}))
        clients = [send_get(address) for _ in range(16)]
        wait_until(lambda: upstream_metric(baton, "requests_active") == 16 and len(upstream.requests) == 2,
                   5, "two are there, the others wait")
        upstream.open.set()
        assert [client.reader.response().status for client in clients] == [200] * 16
        assert upstream.most <= 2
        for client in clients:
            client.close()
        wait_until(lambda: upstream_metric(baton, "requests_active") == 0, 5, "gauge")


def test_no_worker_starves_another_of_connections(start, address, http_server):
    start(web(address, http_server.address, workers=4, cluster={"max_connections": 1},
              routes=[{"cluster": "back", "timeout": "4s"}]))
    # For longer than a request may wait.
    with Wrk(address, connections=32, seconds=6) as wrk:
        result = wrk.finish(early=False)
    assert not result.failed(), result.text


def test_no_more_requests_wait_than_may_and_none_for_ever(start, address, log):
    with Gate() as upstream:
        baton = start(web(address, upstream.address, log=log.path,
                          cluster={"max_connections": 1, "max_pending_requests": 1},
                          routes=[{"path": "/short", "cluster": "back", "timeout": "3s"},
                                  {"cluster": "back", "timeout": "0"}]))
        served = send_get(address)
        wait_until(lambda: len(upstream.requests) == 1, 5, "it has the connection")
        waiting = send_get(address, "/short")
        wait_until(lambda: upstream_metric(baton, "requests_active") == 2, 5, "the other one waits")
        assert ask(address, path="/too-many").status == 503
        assert waiting.reader.response().status == 504
        leaving = send_get(address, "/leaving")
        wait_until(lambda: upstream_metric(baton, "requests_active") == 2, 5, "another one waits")
        sockets.reset(leaving.socket)
        wait_until(lambda: upstream_metric(baton, "requests_active") == 1, 5, "it has left")
        upstream.open.set()
        assert [served.reader.response().status, ask(address).status] == [200, 200]
        served.close()
        waiting.close()
        said = {entry["path"]: (entry["flags"], entry["details"]) for entry in log.entries(5)}
        assert said["/too-many"] == ("UO", "upstream_overflow")
        assert said["/short"] == ("UT", "no_free_connection")
        assert [request.path for request in upstream.requests] == ["/", "/"]


def test_an_idle_connection_makes_room_for_one_to_another_endpoint(start, address, log):
    with HttpServer() as one, HttpServer() as two:
        baton = start(web(address, one.address, two.address, workers=1, cluster={"max_connections": 1},
                          log=log.path))
        with Client(address) as client:
            assert [client.ask().status for _ in range(10)] == [200] * 10
        assert {entry["upstream"] for entry in log.entries(10)} == {one.address, two.address}
        wait_until(lambda: upstream_metric(baton, "connections_active") == 1, 5, "one is left")


# --- dead endpoints


CHECKED = {"health_check": {"type": "http", "path": "/health", "interval": "20ms", "timeout": "5s"}}


def test_what_one_worker_keeps_idle_is_not_in_the_way_of_another(start, address, http_server):
    baton = start(web(address, http_server.address, workers=4, cluster={"max_connections": 1}))
    # Which worker gets a client is the kernel's choice: all of one would be chance.
    assert [ask(address).status for _ in range(30)] == [200] * 30
    assert http_server.accepted > 1, "one worker got all clients"
    wait_until(lambda: baton.metric("baton_upstream_connections_active") <= 1, 5, "the limit holds again")


def test_no_request_fails_once_a_dead_endpoint_is_known_nor_after_reloads(start, address, log):
    """Of two endpoints one dies under load; after its detection, 0 failures, in any generation."""
    with HttpServer() as alive, contextlib.ExitStack() as stack:
        dead = stack.enter_context(HttpServer())
        baton = start(web(address, alive.address, dead.address, cluster=CHECKED, supervisor=QUICK,
                          log=log.path))
        assert upstream_metric(baton, "endpoints_available") == 2
        dead.close()
        wait_until(lambda: upstream_metric(baton, "endpoints_available") == 1, 10, "it is known")
        before = len(log.lines())
        with Wrk(address, connections=16) as wrk:
            for _ in range(5):
                baton.reload()
                wait_until(lambda: len(log.lines()) > before + 200, 10, "load")
                before = len(log.lines())
            result = wrk.finish()
        assert not result.failed(), result.text
        assert {entry["upstream"] for entry in log.entries()[-500:]} == {alive.address}


def test_a_failing_endpoint_is_ejected_and_stays_so_in_the_next_generation(start, address, http_server, log):
    ejecting = {"outlier_detection": {"consecutive_5xx": 3, "base_ejection_time": "1h",
                                      "max_ejection_time": "1h"}}
    with HttpServer(failing(500)) as bad:
        baton = start(web(address, bad.address, http_server.address, cluster=ejecting, supervisor=QUICK))
        statuses = [ask(address).status for _ in range(30)]
        assert 3 <= statuses.count(500) <= 4 and set(statuses[-20:]) == {200}, statuses
        baton.reload()
        assert {ask(address).status for _ in range(30)} == {200}
        assert upstream_metric(baton, "endpoints_ejected") == 1


def test_an_endpoint_that_cannot_be_reached_in_a_routes_time_is_ejected(start, address, http_server):
    """Although `connect_timeout` would have given it longer."""
    ejecting = {"connect_timeout": "1h", "outlier_detection": {"consecutive_connect_failures": 2}}
    with Unresponsive() as deaf:
        baton = start(web(address, deaf.address, http_server.address, workers=1, cluster=ejecting,
                          routes=[{"cluster": "back", "timeout": "3s"}]))
        assert [ask(address).status for _ in range(8)].count(504) == 2
        wait_until(lambda: upstream_metric(baton, "endpoints_ejected") == 1, 5, "it is ejected")


@pytest.mark.parametrize("when", ["checked", "after a reload"])
def test_all_down_is_503_at_once(start, address, when, log):
    """At once: with the default timeouts of 5 s to connect and 15 s to answer none is tried."""
    cluster = {"health_check": {"type": "tcp", "interval": "20ms"}}
    baton = start(web(address, refusing_address(), refusing_address(), cluster=cluster, supervisor=QUICK,
                      log=log.path))
    if when == "after a reload":
        baton.reload()
    with Client(address) as client:
        for _ in range(5):
            assert client.ask().status == 503
    assert {(e["status"], e["flags"], e["upstream"]) for e in log.entries(5)} == {(503, "UH", None)}


def test_an_endpoint_that_comes_back_gets_requests_again(start, address):
    back = refusing_address()
    baton = start(web(address, back, cluster=CHECKED))
    assert ask(address).status == 503
    with HttpServer(address=back):
        wait_until(lambda: upstream_metric(baton, "endpoints_available") == 1, 10, "it is healthy")
        assert ask(address).status == 200


def test_an_upstream_connection_is_not_kept_for_longer_than_the_upstream_says(start, address):
    said = [("Keep-Alive", "timeout=4, max=100")]
    with HttpServer(lambda request: answer(headers=said if request.path == "/said" else [])) as upstream:
        start(web(address, upstream.address, workers=1, cluster={"keepalive": {"idle_timeout": "1h"}}))
        assert [ask(address, path=path).status for path in ("/", "/said", "/")] == [200] * 3
        assert upstream.accepted == 1
        wait_until(lambda: upstream.open_connections == 0, 10, "it is closed ahead of the upstream's time")


def test_idle_upstream_connections_are_kept_within_limits(start, address):
    with HttpServer() as upstream:
        baton = start(web(address, upstream.address, workers=1,
                          cluster={"keepalive": {"max_idle_connections": 2, "idle_timeout": "200ms"}}))
        clients = [Client(address) for _ in range(8)]
        for client in clients:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for client in clients:
            assert client.reader.response().status == 200
            client.close()
        wait_until(lambda: upstream.open_connections <= 2, 5, upstream.open_connections)
        wait_until(lambda: upstream.open_connections == 0, 5, "idle ones go")
        wait_until(lambda: upstream_metric(baton, "connections_active") == 0, 5, "gauge")


def test_a_second_retry_takes_the_place_of_the_first(start, address):
    """Three requests at once, each answered the third time: three may be retried, however often."""
    together, times = threading.Barrier(3, timeout=10), {}

    def respond(request):
        times[request.path] = times.get(request.path, 0) + 1
        together.wait()
        return answer(200 if times[request.path] == 3 else 503)

    with HttpServer(respond) as upstream:
        routes = [{"cluster": "back", "retry": {"on": ["5xx"], "attempts": 2}}]
        start(web(address, upstream.address, workers=1, routes=routes))
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(address)) for _ in range(3)]
            for number, client in enumerate(clients):
                client.send(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n")
            assert [client.reader.response().status for client in clients] == [200] * 3
    assert set(times.values()) == {3}

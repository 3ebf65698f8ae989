"""The HTTP filters and the PROXY protocol in the real programs, with real clients."""

import gzip
import http.client
import re
import subprocess
import time

import pytest
from harness import sockets
from harness.tables import relay
from harness.upstreams import Upstream
from harness.waiting import wait_until

PADDING = "all work and no play makes Jack a dull boy\n" * 50


def tell_request(connection):
    """An upstream's handler: answers each request with its own head and some text that shrinks."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            part = connection.recv(1 << 16)
            if not part:
                return
            received += part
        head, _, received = received.partition(b"\r\n\r\n")
        body = head + b"\r\n\r\n" + PADDING.encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"v1\"\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body)


@pytest.fixture
def teller():
    with Upstream(tell_request) as upstream:
        yield upstream


@pytest.fixture
def serve(start, address, teller):
    """Starts Baton with these filters on one HTTP listener."""

    def make(*filters, moves=True, **listener):
        return start(relay(address, teller.address, moves=moves, listener={
            "protocol": "http", "filter": list(filters), **listener}))

    return make


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def upstream_saw(self, name):
        """The value of a request's header line as the upstream got it; None: there was none."""
        found = re.search(rf"(?im)^{name}: (.*?)\r$", self.body.decode())
        return found and found[1]


def get(address, path="/", client=None, **headers):
    connection = client or http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request("GET", path,
                           headers={name.replace("_", "-"): text for name, text in headers.items()})
        return Answer(connection.getresponse())
    finally:
        if client is None:
            connection.close()


def test_compressed_bodies_are_what_the_upstream_sent(serve, address):
    baton = serve({"type": "compression"})
    plain = get(address)
    packed = get(address, accept_encoding="gzip")
    assert plain.headers["content-encoding"] is None and plain.body.endswith(PADDING.encode())
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] == 'W/"v1"' and packed.headers["vary"] == "accept-encoding"
    assert len(packed.body) < len(plain.body) / 5
    assert gzip.decompress(packed.body).endswith(PADDING.encode())
    curl = subprocess.run(["curl", "-sS", "--compressed", f"http://{address}/"],
                          timeout=20, check=True, capture_output=True)
    assert curl.stdout.endswith(PADDING.encode())
    assert baton.metric("baton_http_compression_responses_total", listener="front") == 2


def test_a_request_gets_an_id_and_the_edits_of_the_listener(serve, address):
    serve({"type": "request_id", "response": True},
          {"type": "headers", "request": {"set": {"x-env": "test"}, "remove": ["x-secret"]},
           "response": {"add": {"x-served-by": "baton"}}})
    answer = get(address, x_request_id="mine", x_secret="1", x_env="prod")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.headers["x-request-id"])
    assert answer.upstream_saw("x-request-id") == answer.headers["x-request-id"]
    assert answer.upstream_saw("x-env") == "test"
    assert answer.upstream_saw("x-secret") is None
    assert answer.headers["x-served-by"] == "baton"


def test_a_filter_sees_what_those_ahead_of_it_have_left(serve, address):
    strip = {"type": "headers", "request": {"remove": ["accept-encoding", "x-fault-abort"]}}
    serve(strip, {"type": "compression"}, {"type": "fault", "by_request": True},
          {"type": "headers", "request": {"set": {"x-fault-abort": "418"}}})
    answer = get(address, accept_encoding="gzip", x_fault_abort="429")
    assert answer.status == 200 and answer.headers["content-encoding"] is None
    assert answer.upstream_saw("x-fault-abort") == "418"


def test_a_filter_acts_on_what_those_ahead_of_it_have_added(serve, address):
    serve({"type": "headers", "request": {"set": {"accept-encoding": "gzip", "x-fault-delay": "1ms"}}},
          {"type": "compression"}, {"type": "fault", "by_request": True})
    answer = get(address)
    assert answer.status == 200 and answer.headers["content-encoding"] == "gzip"


def test_requests_are_refused_by_the_address_behind_a_trusted_proxy(serve, address):
    baton = serve({"type": "ip_filter", "deny": ["192.0.2.0/24"]}, http={"trusted_hops": 1})
    assert get(address, x_forwarded_for="192.0.2.7").status == 403
    assert get(address, x_forwarded_for="198.51.100.7").status == 200
    assert baton.metric("baton_http_ip_filter_refused_total", listener="front") == 1


def test_a_rate_limit_is_one_limit_across_reloads(serve, address, teller):
    baton = serve({"type": "rate_limit", "requests_per_second": 1, "burst": 10})
    began = time.monotonic()
    statuses = [get(address).status for _ in range(10)]
    refused = []
    for _ in range(3):
        baton.reload()
        answers = [get(address) for _ in range(10)]
        statuses += [each.status for each in answers]
        refused += [each for each in answers if each.status == 429]
    passed = statuses.count(200)
    assert 10 <= passed <= 10 + 1 + (time.monotonic() - began)
    assert passed + len(refused) == len(statuses) and teller.accepted <= passed
    assert all(int(each.headers["retry-after"]) == 1 for each in refused)
    assert baton.metric("baton_http_rate_limited_total", listener="front") == len(refused)


def test_health_fails_on_the_connections_that_drain_and_nowhere_else(serve, address):
    baton = serve({"type": "health", "path": "/healthz"}, moves=False)
    kept = http.client.HTTPConnection(address, timeout=20)
    assert get(address, "/healthz", kept).status == 200
    baton.reload("--drain-time", "60s")
    baton.wait_generation(1, "draining")
    assert get(address, "/healthz").status == 200

    def failing():
        said = get(address, "/healthz", kept)
        return said.status == 503 and said

    assert wait_until(failing, 10, "the order to drain has arrived").headers["connection"] == "close"
    kept.close()
    baton.wait_drained()


def test_faults_happen_as_configured_and_as_asked_for(serve, address):
    baton = serve({"type": "fault", "by_request": True})
    assert get(address).status == 200
    assert get(address, x_fault_abort="418").status == 418
    began = time.monotonic()
    assert get(address, x_fault_delay="300ms").status == 200
    assert time.monotonic() - began >= 0.3
    with pytest.raises(ConnectionResetError):
        get(address, x_fault_abort="reset")
    assert baton.metric("baton_http_faults_total", listener="front", kind="abort") == 2
    assert baton.metric("baton_http_faults_total", listener="front", kind="delay") == 1


def test_a_client_that_leaves_while_it_is_delayed_is_forgotten(serve, address, teller):
    baton = serve({"type": "fault", "delay": "30s"})
    with sockets.connect(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: baton.metric("baton_http_faults_total", kind="delay") == 1, 20,
                   "the request is delayed")
        sockets.reset(client)
    wait_until(lambda: baton.metric("baton_listener_connections_active", listener="front") == 0, 20,
               "the connection is gone")
    assert teller.accepted == 0


def test_the_client_that_a_proxy_header_names_is_the_client_of_requests(serve, address):
    baton = serve({"type": "proxy_protocol", "from": ["127.0.0.0/8"]},
                  {"type": "ip_filter", "deny": ["192.0.2.66"]})
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with sockets.connect(address) as client:
        client.sendall(b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n" + request)
        assert b"\r\nX-Forwarded-For: 192.0.2.1\r\n".lower() in sockets.read_all(client).lower()
    with sockets.connect(address) as client:
        client.sendall(b"PROXY TCP4 192.0.2.66 198.51.100.2 4660 443\r\n" + request)
        assert sockets.read_all(client).startswith(b"HTTP/1.1 403 ")
    with sockets.connect(address) as client:
        client.sendall(request)
        assert sockets.is_closed_by_peer(client)
    assert baton.metric("baton_proxy_protocol_rejected_total", listener="front") == 1


def test_an_upstream_is_told_the_client_by_a_proxy_header(start, address):
    def tell_bytes(connection):
        connection.sendall(sockets.read_exactly(connection, 28))

    with Upstream(tell_bytes) as upstream:
        start(relay(address, upstream.address, cluster={"send_proxy_protocol": "v2"}))
        with sockets.connect(address) as client:
            header = sockets.read_all(client)
            host, port = client.getsockname()
            assert header[:16] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
            assert header[16:20] == bytes(map(int, host.split(".")))
            assert header[24:26] == port.to_bytes(2, "big")
            assert header[26:28] == int(address.rpartition(":")[2]).to_bytes(2, "big")

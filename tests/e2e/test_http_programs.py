"""HTTP with the programs people use, on both sides of the proxy."""

import json
import subprocess

import pytest
from harness import processes, sockets
from harness.baton import run
from harness.http import Client, HttpServer, answer, ask
from harness.programs import program
from harness.tables import web
from harness.waiting import wait_until


@pytest.fixture
def front(start, address, node):
    return start(web(address, node.address))


def curl(*arguments, seconds=30):
    return run("curl", "-sS", *arguments, seconds=seconds)


def test_curl_gets_small_and_big_files_of_nginx(start, address, nginx):
    baton = start(web(address, nginx.address))
    assert curl(f"http://{address}/").out == "hello from upstream\n"
    via = baton.directory / "via"
    done = curl("-o", via, f"http://{address}/huge")
    assert done.code == 0 and via.read_bytes() == sockets.pattern(10_000_000), done


def test_curl_keeps_its_connection(front, address):
    done = curl("-w", "%{num_connects}\n", *[f"http://{address}/"] * 5)
    assert done.out == "hello from node\n1\n" + "hello from node\n0\n" * 4
    assert front.metric("baton_listener_connections_total") == 1
    assert front.metric("baton_upstream_connections_total", cluster="back") == 1


def test_curl_asks_for_leave_to_upload(front, address, directory):
    """`Expect: 100-continue` goes through, and so does the 100."""
    path = directory / "body"
    path.write_bytes(sockets.pattern(3_000_000))
    done = curl("-v", "-H", "Expect: 100-continue", "-T", path, f"http://{address}/digest")
    assert "< HTTP/1.1 100 Continue" in done.err, done
    assert json.loads(done.out)["digest"] == sha256_of(path)


def sha256_of(path):
    return run("sha256sum", path).out.split()[0]


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_curl_uploads(front, address, directory, framing):
    path = directory / "body"
    path.write_bytes(sockets.pattern(1_000_000))
    done = curl("-H", "Expect:", "-H", framing, "--data-binary", f"@{path}", f"http://{address}/digest")
    assert json.loads(done.out)["digest"] == sha256_of(path), done


def test_chunks_and_trailers_pass_both_ways(front, address):
    with Client(address) as client:
        client.send("POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                    "Trailer: X-Sum\r\n\r\n5\r\nhello\r\n1;a=b\r\n \r\n5\r\nworld\r\n0\r\nX-Sum: 42\r\n\r\n")
        response = client.reader.response()
        said = json.loads(response.body)
        assert said["trailers"] == {"x-sum": "42"}
        assert said["headers"]["transfer-encoding"] == "chunked"
        assert dict(response.trailers) == {"X-Count": "11"}
        assert client.ask().status == 200  # and the connection goes on


@pytest.mark.parametrize("path", ["/", "/digest", "/status?404"])
def test_head_has_no_body(front, address, path):
    with Client(address) as client:
        for _ in range(2):
            head = client.ask("HEAD", path)
            assert head.status == (404 if "404" in path else 200)
        assert client.ask("GET", "/").body == b"hello from node\n"


def test_head_tells_the_length_that_get_would_have(start, address, nginx):
    start(web(address, nginx.address))
    assert ask(address, "HEAD", "/big").get("content-length") == str(1 << 20)
    assert curl("-I", f"http://{address}/big").out.startswith("HTTP/1.1 200 OK\r\n".replace("\r\n", "\n"))


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(front, address, status):
    with Client(address) as client:
        for _ in range(3):
            response = client.ask(path=f"/status?{status}")
            assert response.status == status and not response.all("transfer-encoding")
        assert client.ask().body == b"hello from node\n"


def test_nginx_answers_conditional_and_range_requests(start, address, nginx):
    start(web(address, nginx.address))
    with Client(address) as client:
        etag = client.ask("HEAD", "/big").get("etag")
        assert client.ask(path="/big", headers={"If-None-Match": etag}).status == 304
        part = client.ask(path="/big", headers={"Range": "bytes=10-19"})
        assert part.status == 206 and part.body == sockets.pattern(20)[10:]


def test_pipelined_requests_are_answered_in_order(start, address):
    with HttpServer(lambda request: answer(body=request.path.encode())) as upstream:
        start(web(address, upstream.address))
        with Client(address) as client:
            client.send(b"".join(f"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for i in range(300)))
            said = [client.reader.response().body for _ in range(300)]
        assert said == [f"/{i}".encode() for i in range(300)]


@pytest.mark.parametrize("rest", [b"", b"GET /unfinished HTTP/1.1\r\n"], ids=["whole", "and a part"])
def test_pipelined_requests_are_answered_though_the_client_has_half_closed(start, address, rest):
    with HttpServer(lambda request: answer(body=request.path.encode())) as upstream:
        start(web(address, upstream.address, routes=[
            {"path": "/2", "direct_response": {"status": 200, "body": "/2"}}, {"cluster": "back"}],
            http={"half_close_timeout": "10s"}))
        with Client(address) as client:
            client.send(b"".join(f"GET /{i} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for i in range(6)) + rest)
            client.socket.shutdown(1)
            said = [client.reader.response().body for _ in range(6)]
            assert said == [f"/{i}".encode() for i in range(6)] and client.reader.at_end()


def test_pipelined_uploads_do_not_mix(start, address):
    with HttpServer(lambda request: answer(body=request.path.encode() + request.body)) as upstream:
        start(web(address, upstream.address))
        bodies = [sockets.pattern(997 * i, seed=i) for i in range(40)]
        with Client(address) as client:
            client.send(b"".join(
                f"PUT /{i} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
                for i, body in enumerate(bodies)))
            for i, body in enumerate(bodies):
                assert client.reader.response().body == f"/{i}".encode() + body
        assert not upstream.broken


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "closed"])
def test_ab_speaks_http_1_0(front, address, keep):
    done = run(program("ab"), *(["-k"] if keep else []), "-q", "-n", "500", "-c", "10",
               f"http://{address}/status?204", seconds=60)
    assert done.code == 0 and "Failed requests:        0" in done.out, done
    assert front.metric("baton_http_requests_total") == 500


def test_http_1_0_gets_an_end_it_understands(front, address):
    """No chunks: the end of the connection is the end of the body."""
    with Client(address) as client:
        client.send("GET /stream?100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = client.reader.response()
        assert len(response.body) == 100000 and not response.all("transfer-encoding")
        assert response.get("connection") == "close"


def test_http_1_0_without_a_host_asks_for_where_it_connected_to(start, address, http_server):
    start(web(address, http_server.address, routes=[{"host": address.split(":")[0], "cluster": "back"}]))
    with Client(address) as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.reader.response().status == 200
    request, = http_server.requests
    assert request.get("host") == address and request.first_line == "GET / HTTP/1.1"
    assert request.get("x-forwarded-host") == address


def test_http_1_0_is_never_sent_a_100(start, address, http_server):
    with HttpServer(lambda request: b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + answer()) as upstream:
        start(web(address, upstream.address))
        with Client(address) as client:
            client.send("GET / HTTP/1.0\r\n\r\n")
            assert client.reader.response().interim == []
        assert ask(address).interim == [103]


def test_h2load_keeps_64_connections(front, address):
    done = run("h2load", "--h1", "-n", "5000", "-c", "64", f"http://{address}/status?200", seconds=60)
    assert "5000 succeeded, 0 failed, 0 errored, 0 timeout" in done.out, done
    wait_until(lambda: front.metric("baton_http_requests_active") == 0, 5, "nothing is in progress")
    assert front.metric("baton_http_responses_total", **{"class": "2xx"}) == 5000


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_gigabyte_costs_no_memory(front, address, way, directory):
    """Against a client or server that is slower than the other."""
    pid = front.in_charge()["pid"]
    ask(address)
    size = 1 << 30
    before = processes.rss_bytes(pid)
    if way == "up":
        path = directory / "sparse"
        with open(path, "wb") as file:
            file.truncate(size)
        command = ["curl", "-sS", "-H", "Expect:", "-T", path, f"http://{address}/digest"]
    else:
        command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}",
                   f"http://{address}/stream?{size}"]
    highest = 0
    client = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
    try:
        def ended():
            nonlocal highest
            highest = max(highest, processes.rss_bytes(pid))
            return client.poll() is not None

        wait_until(ended, 60, f"curl is done; {highest} bytes")
        out = client.stdout.read().decode()
    finally:
        client.kill()
        client.wait()
        client.stdout.close()
    assert str(size) == out or "digest" in out, out
    assert highest - before < 4 << 20, (before, highest)

"""WebSocket, CONNECT and other upgrades: HTTP at first, then bytes."""

import asyncio
import contextlib
import datetime
import socket
import threading
import time

import pytest
import websockets
from harness import sockets
from harness.baton import NEXT_PROXY, run
from harness.http import Client, HttpServer, RawServer, Reader, Request, answer, ask
from harness.ports import free_port
from harness.tables import LOGGED, web
from harness.upstreams import Upstream
from harness.waiting import wait_until
from harness.websocket_echo import WebSocketEcho

PATIENCE = 20
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")


def run_async(work):
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


@pytest.fixture
def websocket_server():
    with WebSocketEcho() as server:
        yield server.address


def test_websocket_messages_of_all_sizes_come_back(start, address, websocket_server):
    baton = start(web(address, websocket_server))

    async def talk():
        async with websockets.connect(f"ws://{address}/chat", max_size=None) as client:
            for size in [0, 1, 125, 126, 65535, 65536, 5_000_000]:
                message = sockets.pattern(size)
                await client.send(message)
                assert await client.recv() == message
            await client.send("text, too")
            assert await client.recv() == "text, too"
            assert baton.metric("baton_http_upgrades_total") == 1

    run_async(talk())
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 5, "it has closed")


def test_a_websocket_that_may_not_move_stays_in_old_until_it_ends(start, address, websocket_server):
    baton = start({**web(address, websocket_server, supervisor={"probation": "20ms", "drain_time": "1h"}),
                   "proxy": {"workers": 2, "move_connections": False}})

    async def talk():
        async with websockets.connect(f"ws://{address}/") as client:
            for i in range(3):
                await client.send(f"message {i}")
                assert await client.recv() == f"message {i}"
                await asyncio.to_thread(baton.reload)
            # Its generation is the only one of the old ones that has something to wait for.
            await asyncio.to_thread(wait_until, lambda: set(baton.generations()) == {1, 4}, PATIENCE,
                                    baton.generations)
            await client.send("still there")
            assert await client.recv() == "still there"

    run_async(talk())
    assert baton.wait_drained()["id"] == 4


def upgrading(connection):
    """Upgrades at once and says a word with it; then echoes, with the request's first line ahead."""
    reader = Reader(connection)
    head = reader.head(Request)
    connection.sendall(SWITCH + b"early word")
    while data := reader.buffer or connection.recv(1 << 16):
        reader.buffer = b""
        connection.sendall(data)
    connection.sendall(f"end of {head.first_line}".encode())


ECHO = {"upgrades": ["echo"]}
ASK_FOR_ECHO = "GET /up HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


def test_bytes_around_a_switch_are_not_lost(start, address, log):
    """What either side sends along with its last HTTP belongs to the tunnel; half-close passes."""
    with Upstream(upgrading) as upstream:
        start(web(address, upstream.address, http=ECHO, log=log.path))
        with Client(address) as client:
            client.send(ASK_FOR_ECHO + "impatient")
            assert client.reader.response().status == 101
            assert client.reader.exactly(len(b"early wordimpatient")) == b"early wordimpatient"
            payload = sockets.pattern(2_000_000)
            sender = threading.Thread(target=client.send, args=(payload,))
            sender.start()
            assert client.reader.exactly(len(payload)) == payload
            sender.join()
            client.socket.shutdown(1)
            assert client.reader.rest() == b"end of GET /up HTTP/1.1"
    entry = log.last(1)
    assert (entry["status"], entry["flags"], len(log.lines())) == (101, None, 1)
    assert entry["received"] == len(b"impatient") + len(payload)
    assert entry["sent"] == len(b"early word" + b"impatient" + b"end of GET /up HTTP/1.1") + len(payload)


def open_echo(client, *headers):
    lines = "".join(f"{line}\r\n" for line in headers)
    client.send(f"GET /up HTTP/1.1\r\nHost: x\r\n{lines}Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert client.reader.response().status == 101
    assert client.reader.exactly(len(b"early word")) == b"early word"


def echoed(client, data):
    client.send(data)
    return client.reader.exactly(len(data)) == data


FULL = {**LOGGED, "agent": "%REQ(User-Agent)%", "protocol": "%RESP(Upgrade)%", "id": "%REQUEST_ID%",
        "start": "%START_TIME%", "ms": "%DURATION%", "wait": "%UPSTREAM_SERVICE_TIME%"}


def test_a_tunnel_is_logged_once_when_it_ends_wherever_that_is(start, address, log):
    """Two reloads with a move each: the line is the last generation's, and has it all."""
    with Upstream(upgrading) as upstream:
        tables = web(address, upstream.address, http={**ECHO, "trusted_hops": 1},
                     supervisor={"probation": "20ms", "drain_time": "1h"})
        tables["listener"][0].update(access_log={"path": str(log.path), "json": FULL},
                                     filter=[{"type": "request_id"}])
        baton = start(tables)
        began = datetime.datetime.now(datetime.timezone.utc)
        with Client(address) as client:
            open_echo(client, "X-Forwarded-For: 192.0.2.7", "User-Agent: me")
            opened, opened_at = time.monotonic(), datetime.datetime.now(datetime.timezone.utc)
            for number in range(2):
                assert echoed(client, b"%d" % number * 1000)
                baton.reload()
                assert baton.wait_drained(moved_in=1)["moved_in"] == 1
            assert echoed(client, b"x" * 1000)
            assert log.lines() == []
            lasted = time.monotonic() - opened
            client.socket.shutdown(socket.SHUT_WR)
            assert client.reader.rest() == b"end of GET /up HTTP/1.1"
        entry = log.last(1)
        assert baton.stop() and len(log.lines()) == 1
    assert (entry["generation"], entry["status"], entry["flags"]) == (3, 101, None)
    assert (entry["method"], entry["path"], entry["authority"]) == ("GET", "/up", "x")
    assert (entry["client"], entry["agent"], entry["protocol"]) == ("192.0.2.7", "me", "echo")
    assert (entry["cluster"], entry["upstream"], entry["attempts"]) == ("back", upstream.address, 1)
    assert (entry["received"], entry["sent"]) == (3000, 3000 + len(b"early wordend of GET /up HTTP/1.1"))
    assert len(entry["id"]) == 36 and entry["wait"] is not None
    assert entry["ms"] >= lasted * 1000 - 1
    tick = datetime.timedelta(milliseconds=1)
    assert began - tick <= datetime.datetime.fromisoformat(entry["start"]) <= opened_at


@pytest.mark.parametrize("end, flags", [("client", "DC"), ("upstream", "UC"), ("drain", "DT")])
def test_how_a_tunnel_was_broken_off_is_logged(start, address, log, end, flags):
    def serve(connection):
        Reader(connection).head(Request)
        connection.sendall(SWITCH)
        assert connection.recv(10) == b"go"
        if end == "upstream":
            sockets.reset(connection)
        else:
            with contextlib.suppress(ConnectionError):
                connection.recv(10)

    with Upstream(serve) as upstream:
        baton = start(web(address, upstream.address, http=ECHO, log=log.path, moves=False))
        with Client(address) as client:
            client.send(ASK_FOR_ECHO)
            assert client.reader.response().status == 101
            client.send("go")
            if end == "client":
                sockets.reset(client.socket)
            elif end == "drain":
                baton.reload("--drain-time", "50ms", "--wait-drained")
        assert log.last(1)["flags"] == flags


def test_a_routes_idle_timeout_goes_with_its_tunnel(start, address, log):
    with Upstream(upgrading) as upstream:
        routes = [{"name": "quick", "path": "/up", "cluster": "back", "idle_timeout": "3s"}]
        baton = start(web(address, upstream.address, routes=routes, http=ECHO, log=log.path,
                          supervisor={"probation": "20ms", "drain_time": "1h"}))
        with Client(address) as client:
            open_echo(client)
            baton.reload()
            assert baton.wait_drained(moved_in=1)["moved_in"] == 1
            assert client.is_closed()
        entry = log.last(1)
    assert (entry["flags"], entry["route"], entry["generation"]) == ("SI", "quick", 2)


def test_what_came_while_a_tunnel_could_not_move_counts_for_its_idle_timeout(start, address, log):
    """It stands still for longer than it may be idle, and its client talks all the time."""
    with Upstream(upgrading) as upstream:
        routes = [{"path": "/up", "cluster": "back", "idle_timeout": "1s"}]
        baton = start(web(address, upstream.address, routes=routes, http=ECHO, log=log.path, workers=1,
                          supervisor={"probation": "20ms"}), env={"BATON_TEST_HOLD": "prepared:2"})
        with Client(address) as client:
            open_echo(client)
            stop = threading.Event()

            def talk():
                while not stop.wait(0.2):
                    client.send(b"x")

            talking = threading.Thread(target=talk)
            talking.start()
            baton.reload("--proxy", NEXT_PROXY)
            baton.wait_for_log("connections are not taken over")
            stop.set()
            talking.join()
            client.send(b"end")
            received = b""
            while not received.endswith(b"end"):
                received += client.reader.exactly(1)
            assert set(received[:-3]) == {ord("x")} and len(received) > 8
        baton.stop("--now")


def test_an_upgrade_that_is_not_allowed_is_not_passed_on(start, address, http_server):
    start(web(address, http_server.address))
    with Client(address) as client:
        client.send(ASK_FOR_ECHO)
        assert client.reader.response().status == 200
        assert client.ask().status == 200
    assert http_server.requests[0].get("upgrade") is None
    assert http_server.requests[0].get("connection") is None


@pytest.mark.parametrize("framing, body", [("Content-Length: 5", "hello"),
                                           ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")])
def test_a_request_with_a_body_asks_for_no_upgrade(start, address, http_server, framing, body):
    start(web(address, http_server.address, http=ECHO))
    with Client(address) as client:
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
                    + body)
        assert client.reader.response().status == 200
        assert client.ask().status == 200
    assert http_server.requests[0].body == b"hello"
    assert http_server.requests[0].get("upgrade") is None


def test_of_several_protocols_the_first_that_is_allowed_is_asked_for(start, address, http_server):
    start(web(address, http_server.address, http={"upgrades": ["b", "echo"]}))
    with Client(address) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: , other/2 ,ECHO,b\r\n\r\n")
        assert client.reader.response().status == 200
    assert http_server.requests[0].all("upgrade") == ["echo"]


def test_an_upgrade_of_a_request_with_an_empty_body_is_one(start, address):
    with Upstream(upgrading) as upstream:
        start(web(address, upstream.address, http=ECHO))
        with Client(address) as client:
            open_echo(client, "Content-Length: 0")


def test_a_refused_upgrade_leaves_http(start, address):
    with HttpServer(lambda request: answer(403, b"no")) as upstream:
        start(web(address, upstream.address, http=ECHO))
        with Client(address) as client:
            client.send(ASK_FOR_ECHO)
            assert client.reader.response().status == 403
            assert client.ask().status == 403
        assert upstream.requests[0].get("upgrade") == "echo"


def test_a_switch_nobody_asked_for_is_refused(start, address, log):
    with RawServer(SWITCH + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "wait") as upstream:
        start(web(address, upstream.address, log=log.path))
        assert ask(address).status == 502
    assert log.last()["flags"] == "UPE"


def test_a_switch_to_another_protocol_than_was_asked_for_is_refused(start, address, log):
    with RawServer(SWITCH.replace(b"echo", b"other"), "wait") as upstream:
        start(web(address, upstream.address, http=ECHO, log=log.path))
        with Client(address) as client:
            client.send(ASK_FOR_ECHO)
            assert client.reader.response().status == 502
    assert (log.last()["flags"], log.last()["details"]) == ("UPE", "unexpected_upgrade")


def test_curl_tunnels_by_connect_where_it_is_allowed(start, address, another_address, nginx, log):
    tables = web(address, nginx.address, http={"connect": True}, log=log.path)
    start(tables)
    via = ("-p", "-x", f"http://{address}", f"http://{nginx.address}/")
    assert run("curl", "-sS", *via).out == "hello from upstream\n"
    assert log.last()["method"] == "CONNECT" and log.last()["status"] == 200


def test_connect_is_refused_by_default(start, address, http_server):
    start(web(address, http_server.address))
    with Client(address) as client:
        client.send("CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n")
        # To a client of CONNECT this is no tunnel: it has a body as any other.
        assert client.reader.response().status == 405
    assert not http_server.requests and not http_server.accepted


def test_connect_to_a_dead_endpoint_is_an_answer_not_a_tunnel(start, address, log):
    start(web(address, f"127.0.0.1:{free_port()}", http={"connect": True}, log=log.path))
    with Client(address) as client:
        client.send("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n")
        assert client.reader.response().status == 503
    assert log.last()["flags"] == "UF"

"""WebSocket, CONNECT and other upgrades: HTTP at first, then bytes."""

import asyncio
import contextlib
import threading

import pytest
import websockets
from harness import sockets
from harness.baton import run
from harness.http import Client, HttpServer, RawServer, Reader, Request, answer, ask
from harness.ports import free_port
from harness.tables import web
from harness.upstreams import Upstream
from harness.waiting import wait_until

PATIENCE = 20
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")


def run_async(work):
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


@pytest.fixture
def websocket_server():
    """Echoes every message, in a loop of its own thread."""
    port, ready, loop = free_port(), threading.Event(), asyncio.new_event_loop()

    async def echo(connection, _path=None):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    async def serve():
        stop = asyncio.Event()
        loop.stop_it = stop.set
        async with websockets.serve(echo, "127.0.0.1", port, max_size=None):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    yield f"127.0.0.1:{port}"
    loop.call_soon_threadsafe(loop.stop_it)
    thread.join(PATIENCE)
    loop.close()


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
    assert log.last()["status"] == 101


def test_an_upgrade_that_is_not_allowed_is_not_passed_on(start, address, http_server):
    start(web(address, http_server.address))
    with Client(address) as client:
        client.send(ASK_FOR_ECHO)
        assert client.reader.response().status == 200
        assert client.ask().status == 200
    assert http_server.requests[0].get("upgrade") is None
    assert http_server.requests[0].get("connection") is None


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

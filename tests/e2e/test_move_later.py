"""What could not move at the first commit moves at a later one: every connection has another chance."""

import threading

import pytest
from harness import processes, sockets
from harness.baton import NEXT_PROXY, PROXY, WITHOUT_FOLLOW_PROXY
from harness.http import Reader

from harness.tables import also, relay
from harness.upstreams import Upstream
from harness.waiting import wait_until

PATIENT = {"probation": "20ms", "drain_time": "24h"}


class HeldServer:
    """Answers each request once it is told to go on."""

    def __init__(self):
        self.asked = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self, connection):
        while b"\r\n\r\n" in connection.recv(1 << 16):
            self.asked.release()
            self.go_on.wait(60)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Client:
    def __init__(self, address):
        self.connection = sockets.connect(address)
        self.reader = Reader(self.connection)

    def send(self):
        self.connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return self

    def read(self):
        response = self.reader.response()
        assert response.body == b"ok" and response.get("connection") is None, response
        return self


def web_relay(address, upstream):
    return relay(address, upstream.address, supervisor=PATIENT, listener={"protocol": "http"})


@pytest.mark.parametrize("supervisor", ["goes on", "is killed"])
def test_a_request_that_outlasts_two_reloads_is_followed_by_the_move(start, address, supervisor):
    """Two generations drain, each with a request under way: both connections end up in the third."""
    server = HeldServer()
    with Upstream(server) as upstream:
        baton = start(web_relay(address, upstream))
        clients = []
        for _ in range(2):
            clients.append(Client(address).send())
            assert server.asked.acquire(timeout=20)
            if supervisor == "is killed":
                baton.kill_supervisor()
                baton.start_again()
            baton.reload()
        assert {1, 2, 3} == set(baton.generations())
        server.go_on.set()
        for client in clients:
            client.read()
        baton.wait_drained(moved_in=2)
        for client in clients:
            client.send().read()
        assert baton.metric("baton_listener_connections_total") == 2


@pytest.mark.parametrize("proxies", [(WITHOUT_FOLLOW_PROXY, PROXY, PROXY), (PROXY, PROXY, WITHOUT_FOLLOW_PROXY)],
                         ids=["the old one", "the new one"])
def test_a_release_that_does_not_know_this_keeps_what_it_has(start, address, proxies):
    server = HeldServer()
    with Upstream(server) as upstream:
        baton = start(web_relay(address, upstream), proxy=proxies[0])
        client = Client(address).send()
        assert server.asked.acquire(timeout=20)
        for proxy in proxies[1:]:
            baton.reload("--proxy", proxy)
        server.go_on.set()
        client.read()
        for _ in range(5):
            client.send().read()
        assert baton.generations()[1]["connections"] == 1
        client.connection.close()
        baton.wait_drained()


def test_new_dies_in_the_middle_of_the_move_and_the_next_one_gets_them(start, address, echoer):
    baton = start(relay(address, echoer.address, workers=1, supervisor=PATIENT),
                  env={"BATON_TEST_HOLD": "prepared:2"})
    clients = [sockets.connect(address) for _ in range(100)]
    for client in clients:
        sockets.ask(client, b"before")
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_for_log("holding at prepared")
    processes.kill(baton.generations()[2]["pid"])
    reload.communicate(timeout=20)
    # A fresh one takes its place, and nothing has to be done.
    assert baton.wait_drained(moved_in=100)["id"] == 3
    for client in clients:
        sockets.ask(client, b"after")
        client.close()
    assert baton.metric("baton_listener_connections_total") == 100


def test_the_successor_of_one_that_hangs_gets_them(start, address, echoer):
    """New has hung in the middle of the move; old offers to whom replaces it."""
    baton = start(relay(address, echoer.address, workers=1, supervisor={**PATIENT, "drain_time": "1m"}),
                  env={"BATON_TEST_HOLD": "started:2"})
    clients = [sockets.connect(address) for _ in range(100)]
    for client in clients:
        sockets.ask(client, b"before")
    baton.reload("--proxy", NEXT_PROXY)
    baton.wait_for_log("holding at started")
    # They are let go of one by one, and then counted.
    row = wait_until(lambda: (old := baton.generations()[1])["moved_out"]
                     and old["connections"] == 100 - old["moved_out"] and old, 10, baton.generations)
    left = row["connections"]
    assert left > 0, row
    hung = baton.generations()[2]["pid"]
    processes.kill(hung)
    assert baton.wait_drained(moved_in=left)["moved_in"] == left


def test_a_listener_that_speaks_its_protocol_again_gets_its_connections_back(start, address, another_address, echoer):
    tables = also(relay(address, echoer.address, supervisor=PATIENT), "stays", another_address)
    baton = start(tables)
    client = sockets.connect(address)
    sockets.ask(client, b"before")
    front = tables["listener"][0]
    baton.write({**tables, "listener": [{**front, "protocol": "http"}, tables["listener"][1]]})
    baton.reload()
    assert baton.wait_generation(1, "draining")["connections"] == 1
    wait_until(lambda: baton.metric("baton_connections_move_rejected_total", reason="no_listener") == 1, 10,
               "it was refused")
    baton.write(tables)
    baton.reload()
    assert baton.wait_drained(moved_in=1)["id"] == 3
    sockets.ask(client, b"after")
    client.close()

"""Moves between generations that have different numbers of workers: each worker gets its share."""

import socket

import pytest
from harness import processes, sockets
from harness.baton import NEXT_PROXY, PROXY
from harness.kinds import ANSWER, HTTP, Kept, Tunnel, Upgraded, serve
from harness.tables import relay
from harness.upstreams import Upstream, echo
from harness.waiting import wait_until

QUICK = {"probation": "20ms", "drain_time": "1h"}


def shares(baton, address):
    """How many clients each worker that has any watches, in the generation in charge."""
    clients = sockets.accepted_inodes(address)
    watched = processes.watched_sockets(baton.in_charge()["pid"])
    return sorted(len(clients & each) for each in watched if clients & each)


def assert_all_at_work(baton, address, workers, clients):
    """Nobody has more than twice what would be fair, nor less than half of it."""
    wait_until(lambda: sum(shares(baton, address)) == clients, 10, "all are watched by new")
    found, fair = shares(baton, address), clients / workers
    assert len(found) == workers, found
    assert fair / 2 <= found[0] and found[-1] <= 2 * fair, found


@pytest.mark.parametrize("kind", [Tunnel, Kept, Upgraded])
@pytest.mark.parametrize("count", [20, 400])
def test_added_workers_get_their_share(start, address, kind, count):
    with Upstream(echo if kind is Tunnel else serve) as upstream:
        def tables(workers):
            return relay(address, upstream.address, workers=workers, supervisor=QUICK,
                         listener={} if kind is Tunnel else HTTP)

        baton = start(tables(1))
        clients = [kind(address) for _ in range(count)]
        for client in clients:
            client.use()
        baton.write(tables(4))
        baton.reload()
        baton.wait_drained(moved_in=count)
        assert_all_at_work(baton, address, 4, count)
        for client in clients:
            client.use()
        assert baton.metric("baton_connections_moved_total") == count
        for client in clients:
            client.close()
        wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "all have gone")


@pytest.mark.parametrize("numbers", [(4, 1, 3), (3, 2, 4, 3), (1, 8, 7)])
def test_the_number_of_workers_changes_again_and_again(start, address, echoer, numbers):
    """The bytes of each tunnel stay in order, also those that nobody has taken yet."""
    baton = start(relay(address, echoer.address, workers=numbers[0], supervisor=QUICK))
    clients = [Tunnel(address) for _ in range(84)]
    pieces = [sockets.pattern(50_000, seed) for seed in range(len(clients))]
    for turn, workers in enumerate(numbers[1:], 2):
        for client, piece in zip(clients, pieces):
            client.connection.sendall(piece)
        baton.write(relay(address, echoer.address, workers=workers, supervisor=QUICK))
        baton.reload("--proxy", (PROXY, NEXT_PROXY)[turn % 2])
        assert baton.wait_drained(moved_in=len(clients))["id"] == turn
        for client, piece in zip(clients, pieces):
            assert sockets.read_exactly(client.connection, len(piece)) == piece
        if workers > 1:
            wait_until(lambda: len(shares(baton, address)) == workers, 10, "all of them work")
    for client in clients:
        client.connection.shutdown(socket.SHUT_WR)
        assert sockets.read_all(client.connection) == b""
        client.close()
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "all have gone")


def test_idle_upstream_connections_go_where_their_clients_go(start, address):
    with Upstream(serve) as upstream:
        def tables(workers):
            return relay(address, upstream.address, workers=workers, supervisor=QUICK, listener=HTTP)

        baton = start(tables(1))
        clients = [Kept(address) for _ in range(20)]
        ask_at_once(clients)
        baton.write(tables(4))
        baton.reload("--wait-drained")
        ask_at_once(clients)
        assert upstream.accepted <= len(clients), "a new connection to the upstream was made"
        for client in clients:
            client.close()


def ask_at_once(clients):
    for client in clients:
        client.connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for client in clients:
        assert sockets.read_exactly(client.connection, len(ANSWER)) == ANSWER


@pytest.mark.parametrize("point", ["prepared", "answered", "started"])
def test_new_dies_while_one_of_its_workers_takes_its_share(start, address, echoer, point):
    """What the others have been given dies with them, whole shares of it; the rest goes on in old."""
    baton = start(relay(address, echoer.address, workers=1, supervisor=QUICK),
                  env={"BATON_TEST_HOLD": f"{point}:2"})
    clients = [Tunnel(address) for _ in range(40)]
    for client in clients:
        client.use()
    baton.write(relay(address, echoer.address, workers=4, supervisor=QUICK))
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_for_log(f"holding at {point}")
    processes.kill(baton.generations()[2]["pid"])
    reload.communicate(timeout=20)
    alive = sum(client.is_alive() for client in clients)
    assert alive == 40 if point == "prepared" else alive in (0, 10, 20, 30, 40), alive
    for client in clients:
        client.close()
    fresh = Tunnel(address)
    fresh.use()
    fresh.close()

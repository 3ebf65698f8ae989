"""What happens to the connections that stay in an old generation."""

import time

from harness import processes, sockets
from harness.baton import FAILED
from harness.http import Client
from harness.tables import staying, web
from harness.waiting import wait_until


def hold(address, number):
    client = sockets.connect(address)
    sockets.ask(client, f"held {number}".encode())
    return client


def test_an_old_generation_exits_as_soon_as_it_holds_nothing(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with hold(address, 1):
        baton.reload()
        baton.wait_generation(1, "draining")
    baton.wait_generation(1, "gone", seconds=5)


def test_the_deadline_cuts_what_is_left_and_counts_it(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "300ms"}))
    clients = [hold(address, n) for n in range(3)]
    baton.reload("--wait-drained")
    assert all(sockets.is_reset_by_peer(client) for client in clients)
    assert baton.metric("baton_listener_connections_cut_total", listener="front") == 3
    assert baton.metric("baton_listener_connections_active") == 0
    for client in clients:
        client.close()


def test_connections_that_end_in_time_are_not_counted_as_cut(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with hold(address, 1):
        baton.reload()
    baton.wait_drained()
    assert baton.metric("baton_listener_connections_cut_total") == 0


def test_a_running_drain_can_be_made_shorter(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with hold(address, 1) as client:
        baton.reload()
        baton.wait_generation(1, "draining")
        baton.do("drain", "--drain-time", "100ms")
        assert sockets.is_closed_by_peer(client)
    baton.wait_generation(1, "gone")


def test_a_running_drain_can_be_made_longer(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "8s"}))
    with hold(address, 1) as client:
        baton.reload()
        first = baton.wait_generation(1, "draining")["drain_deadline"]
        baton.do("drain", "--drain-time", "1h")
        later = baton.generations()[1]["drain_deadline"]
        assert later > first + 3000
        wait_until(lambda: time.time() > first + 0.3, 20, "the first deadline has passed")
        sockets.ask(client, b"still here")


def test_a_running_drain_keeps_its_strategy(start, address, http_server):
    """That of its reload, also once it has another deadline: the next answer ends a connection."""
    baton = start(web(address, http_server.address, moves=False, supervisor={"drain_time": "1h"}))
    with Client(address) as client:
        client.send("GET / HTTP/1.1\r\nHost: x\r\n")
        wait_until(lambda: baton.metric("baton_listener_connections_active") == 1, 10, "it is accepted")
        baton.reload("--drain-strategy", "immediate")
        baton.do("drain", "--drain-time", "2h")
        client.send("\r\n")
        assert client.reader.response().get("connection") == "close"
        assert client.is_closed()
    baton.wait_generation(1, "gone")


def test_a_generation_that_is_being_cut_is_given_no_more_time(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h", "max_draining": 1}))
    with hold(address, 1) as oldest, hold(address, 2) as other:
        baton.reload()
        with hold(address, 3) as later:
            baton.reload()
            baton.do("drain", "--drain-time", "2h")
            assert sockets.is_closed_by_peer(oldest) and sockets.is_closed_by_peer(other)
            baton.wait_generation(1, "gone")
            sockets.ask(later, b"still here")


def test_several_old_generations_drain_at_once_each_with_its_deadline(start, address, echoer):
    baton = start(staying(address, echoer.address))
    clients = []
    for number, drain_time in enumerate(["1h", "500ms", "1h"]):
        clients.append(hold(address, number))
        baton.reload("--drain-time", drain_time)
    assert sockets.is_closed_by_peer(clients[1])
    baton.wait_generation(2, "gone")
    assert {n: g["state"] for n, g in baton.generations().items()} == {
        1: "draining", 3: "draining", 4: "serving"}
    for client in (clients[0], clients[2]):
        sockets.ask(client, b"still here")
        client.close()
    baton.wait_drained()


def test_beyond_max_draining_the_oldest_is_cut(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h", "max_draining": 2}))
    clients = []
    for number in range(4):
        clients.append(hold(address, number))
        baton.reload()
    assert sockets.is_closed_by_peer(clients[0]) and sockets.is_closed_by_peer(clients[1])
    baton.wait_generation(2, "gone")
    baton.wait_generation(1, "gone")
    for client in clients[2:]:
        sockets.ask(client, b"still here")
    assert sorted(baton.generations()) == [3, 4, 5]
    for client in clients:
        client.close()


def test_a_reload_during_a_drain_is_nothing_special(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with hold(address, 1) as client:
        baton.reload()
        baton.wait_generation(1, "draining")
        baton.reload()
        sockets.ask(client, b"still here")
        assert baton.in_charge()["id"] == 3


def test_a_drain_time_of_zero_cuts_at_once(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with hold(address, 1) as client:
        baton.reload("--drain-time", "0s", "--wait-drained")
        assert sockets.is_closed_by_peer(client)


def test_both_drain_strategies_are_accepted(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    for strategy in ("immediate", "gradual"):
        with hold(address, 1) as client:
            baton.reload("--drain-strategy", strategy)
            baton.reload("--drain-strategy", strategy)
            baton.do("drain", "--drain-time", "50ms")
            assert sockets.is_closed_by_peer(client)
        baton.wait_drained()


def test_a_draining_generation_that_is_stopped_in_its_tracks_is_ended_at_its_deadline(
        start, address, echoer):
    """It can't cut anything itself: the supervisor does, with a little grace."""
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with hold(address, 1) as client:
        baton.reload()
        pid = baton.wait_generation(1, "draining")["pid"]
        processes.suspend(pid)
        baton.ask("drain", "--drain-time", "100ms")
        assert sockets.is_closed_by_peer(client)
        baton.wait_generation(1, "gone")


def test_drain_says_so_when_nothing_drains_any_more(start, address, echoer):
    baton = start(staying(address, echoer.address))
    baton.reload("--wait-drained")
    assert baton.ask("drain", "--drain-time", "1s").code == FAILED

"""Reloads between a wildcard address and a narrower one of the same port, in both directions.

The kernel gives a client to the narrower socket while there is one, so no reload may take that away
from it, nor leave it to nobody.
"""

import os
import signal
import socket

import pytest
from harness import processes, sockets
from harness.baton import DONE, FAILED, LISTENERS_ONLY_PROXY, PROXY
from harness.load import ShortClients
from harness.ports import free_port
from harness.tables import also, relay, saying
from harness.waiting import wait_until


@pytest.fixture(params=["v4", "v6"])
def addresses(request):
    """(the wildcard, a narrower one)"""
    port = free_port()
    wide, narrow = {"v4": ("0.0.0.0", "127.0.0.1"), "v6": ("[::]", "[::1]")}[request.param]
    return f"{wide}:{port}", f"{narrow}:{port}"


def begin_reload(baton, number, tables, *arguments):
    """To that generation, until it is in probation; returns the command and the new process. That and
    the supervisor are suspended."""
    old = baton.in_charge()["id"]
    baton.write(tables)
    reload = baton.ask_in_background("reload", *arguments)
    pid = baton.wait_generation(number, "serving")["pid"]
    baton.wait_paused(old)
    baton.freeze(pid)
    return reload, pid


def says(address):
    with sockets.connect(address) as client:
        return sockets.read_all(client)


def queue_up(address, count=40):
    clients = []
    for i in range(count):
        clients.append(sockets.connect(address))
        clients[-1].sendall(f"{i}\n".encode())
    return clients


def assert_answered(clients):
    for i, client in enumerate(clients):
        with client:
            assert sockets.read_all(client) == f"answer to {i}\n".encode()


def assert_serves_everybody(address):
    with ShortClients(address) as load:
        load.wait_for_more(50)
        tally = load.stop()
    assert not tally.failures, tally
    assert not tally.lost_handshakes, tally


def test_reloads_there_and_back_are_noticed_by_nobody(start, addresses, liner):
    wide, narrow = addresses
    baton = start(relay(narrow, liner.address, supervisor={"probation": "50ms"}))
    with ShortClients(narrow) as load:
        for i in range(8):
            baton.write(relay(addresses[i % 2], liner.address, workers=1 + i % 3,
                              supervisor={"probation": "50ms"}))
            baton.reload("--wait-drained")
            load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    assert not tally.lost_handshakes, tally
    wait_until(lambda: baton.metric("baton_listener_connections_total") == tally.completed, 10,
               lambda: (baton.metric("baton_listener_connections_total"), tally.completed))


def test_a_listener_that_leaves_its_address_to_anothers_wildcard_is_noticed_by_nobody(
        start, addresses, liner):
    wide, narrow = addresses
    only = relay(wide, liner.address, supervisor={"probation": "50ms"})
    both = also(only, "more", narrow)
    baton = start(both)
    with ShortClients(narrow) as load:
        for tables in (only, both, only):
            baton.write(tables)
            baton.reload("--wait-drained")
            load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    assert not tally.lost_handshakes, tally


@pytest.mark.parametrize("addresses", ["v4"], indirect=True)
def test_a_strangers_v6_socket_of_that_port_does_not_keep_a_reload_from_it(start, addresses, liner):
    wide, narrow = addresses
    baton = start(relay(narrow, liner.address, supervisor={"probation": "50ms"}))
    with socket.socket(socket.AF_INET6) as stranger:
        stranger.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        stranger.bind(("::", sockets.parse(narrow)[1][1]))
        stranger.listen()
        for address in (wide, narrow):
            baton.write(relay(address, liner.address, supervisor={"probation": "50ms"}))
            baton.reload("--wait-drained")
        assert_serves_everybody(narrow)


@pytest.mark.parametrize("narrows", [True, False], ids=["narrows", "widens"])
def test_who_waits_when_a_reload_is_rolled_back_is_served_by_old(start, addresses, liner, narrows):
    before, after = addresses if narrows else reversed(addresses)
    narrow = addresses[1]
    probation = {"probation": "30s"}
    baton = start(relay(before, liner.address, supervisor=probation))
    # Again: what old has taken over the first time is nothing new the second time.
    for number, workers in ((2, 3), (3, 1), (4, 4)):
        reload, new = begin_reload(baton, number, relay(after, liner.address, workers=workers,
                                                        supervisor=probation))
        waiting = queue_up(narrow)
        processes.kill(new)
        baton.thaw()
        reload.communicate(timeout=20)
        assert reload.returncode == FAILED
        assert_answered(waiting)
        assert_serves_everybody(narrow)
    assert baton.wait_drained()["id"] == 1
    baton.reload("--probation", "50ms")
    assert_serves_everybody(narrow)


def test_whoever_shared_few_sockets_lets_go_of_them_when_there_are_more(start, addresses):
    """Fewer than workers are served by all of these, more are shared out: old turns from one to the other."""
    wide, narrow = addresses
    probation = {"probation": "30s"}
    baton = start(saying(wide, "%GENERATION%", workers=4, supervisor=probation))
    for number, workers in ((2, 2), (3, 5)):
        reload, new = begin_reload(baton, number, saying(narrow, "", workers=workers,
                                                         supervisor=probation))
        processes.kill(new)
        baton.thaw()
        reload.communicate(timeout=20)
    baton.write(saying(wide, "%GENERATION%", workers=4, supervisor=probation))
    reload = baton.ask_in_background("reload")
    baton.wait_generation(4, "serving")
    baton.wait_paused(1)
    assert {says(narrow) for _ in range(60)} == {b"4"}
    baton.do("rollback")
    reload.communicate(timeout=20)
    assert {says(narrow) for _ in range(60)} == {b"1"}


def test_who_waits_when_old_dies_in_probation_is_served_by_new(start, addresses, liner):
    wide, narrow = addresses
    baton = start(relay(narrow, liner.address, workers=3, supervisor={"probation": "30s"}))
    old = baton.in_charge()["pid"]
    reload, new = begin_reload(baton, 2, relay(wide, liner.address, workers=1))
    waiting = queue_up(narrow)
    processes.kill(old)
    os.kill(new, signal.SIGCONT)
    assert_answered(waiting)
    baton.thaw()
    reload.communicate(timeout=20)
    assert reload.returncode == DONE
    assert_serves_everybody(narrow)


def test_sockets_of_a_failed_start_are_not_kept(start, addresses, liner):
    """New had bound the narrower ones, but nobody has listened there."""
    wide, narrow = addresses
    baton = start(relay(wide, liner.address))
    baton.write(also(relay(narrow, liner.address), "more", "192.0.2.1:1"))
    assert baton.ask("reload").code == FAILED
    assert_serves_everybody(narrow)
    assert "too" not in baton.log()


def test_a_generation_of_an_earlier_release_is_given_no_socket_it_would_not_serve(
        start, addresses, liner):
    wide, narrow = addresses
    baton = start(relay(wide, liner.address), proxy=LISTENERS_ONLY_PROXY)
    reload, new = begin_reload(baton, 2, relay(narrow, liner.address, supervisor={"probation": "30s"}),
                               "--proxy", PROXY)
    processes.kill(new)
    baton.thaw()
    reload.communicate(timeout=20)
    assert_serves_everybody(narrow)


def test_the_sockets_go_with_the_wildcard_listener(start, addresses, liner):
    wide, narrow = addresses
    elsewhere = narrow.replace(narrow.rpartition(":")[2], str(free_port()))
    baton = start(relay(narrow, liner.address))
    for address in (wide, elsewhere):
        baton.write(relay(address, liner.address))
        baton.reload("--wait-drained")
    wait_until(lambda: not sockets.accepts(narrow), 5, "nobody listens there any more")
    assert_serves_everybody(elsewhere)


def test_the_admin_listener_is_always_reachable(start, address, addresses, liner):
    wide, narrow = addresses
    baton = start(relay(address, liner.address, admin=narrow))
    for admin in (wide, narrow, wide, wide):
        baton.write(relay(address, liner.address, admin=admin))
        baton.reload("--wait-drained")
        with sockets.connect(narrow) as client:
            client.sendall(b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sockets.read_all(client).startswith(b"HTTP/1.1 200 ")

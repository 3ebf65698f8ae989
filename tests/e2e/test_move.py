"""Established connections that move to the next generation: nothing is lost, whoever dies when."""


import random
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import processes, sockets
from harness.baton import DONE, LISTENERS_ONLY_PROXY, NEXT_PROXY, OTHER_LAYOUT_PROXY, PROXY

from harness.kinds import ANSWER, HTTP, Kept, Tunnel, Upgraded, serve
from harness.ports import free_port
from harness.tables import also, relay
from harness.upstreams import Upstream, echo
from harness.waiting import wait_until

QUICK = {"probation": "20ms", "drain_time": "1h"}


def clients_of(address, count):
    clients = [sockets.connect(address) for _ in range(count)]
    for client in clients:
        sockets.ask(client, b"before")
    return clients


def close_all(clients):
    for client in clients:
        client.close()


def assert_nothing_is_left(baton):
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "all have gone")
    assert baton.metric("baton_upstream_connections_active") == 0


def test_the_same_connections_through_fifty_generations(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor=QUICK))
    clients = clients_of(address, 20)
    accepted = echoer.accepted
    for number in range(50):
        baton.reload("--proxy", NEXT_PROXY if number % 2 == 0 else PROXY)
        for client in clients:
            sockets.ask(client, f"generation {number + 2}".encode())
    row = baton.wait_drained(moved_in=20)
    assert row["id"] == 51 and row["connections"] == 20 and row["moved_in"] == 20
    assert len(processes.children(baton.pid)) == 1
    assert echoer.accepted == accepted, "a new connection to the upstream was made"
    assert baton.metric("baton_connections_moved_total") == 1000
    assert baton.metric("baton_listener_connections_total") == 20
    close_all(clients)
    assert_nothing_is_left(baton)


def stream_both_ways(address, seed, seconds_of_pause, stop, results):
    """Sends random pieces and reads their echo, until told to stop; then half-closes and reads on."""
    chance = random.Random(seed)
    client = sockets.connect(address)
    sent, received = bytearray(), bytearray()

    def read():
        while chunk := client.recv(1 << 16):
            received.extend(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    while not stop.is_set():
        piece = chance.randbytes(chance.choice([1, 100, 5000, 200_000]))
        client.sendall(piece)
        sent.extend(piece)
        stop.wait(chance.random() * seconds_of_pause)
    client.shutdown(socket.SHUT_WR)
    reader.join(20)
    results[seed] = not reader.is_alive() and bytes(sent) == bytes(received)
    client.close()


def test_streams_at_any_pace_arrive_whole_over_many_reloads(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor=QUICK))
    stop, results = threading.Event(), {}
    threads = [threading.Thread(target=stream_both_ways, args=(address, seed, 0.02, stop, results))
               for seed in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        baton.reload()
    stop.set()
    for thread in threads:
        thread.join(30)
    assert results == {seed: True for seed in range(12)}
    assert baton.metric("baton_connections_moved_total") > 12
    assert_nothing_is_left(baton)


def test_half_closed_directions_move(start, address):
    """The client has ended its direction, the server goes on talking, through a reload."""
    talk, said = threading.Event(), threading.Event()

    def server(connection):
        while connection.recv(1 << 16):
            pass
        connection.sendall(b"one ")
        said.set()
        talk.wait(20)
        connection.sendall(b"two")
        connection.close()

    with Upstream(server) as upstream:
        baton = start(relay(address, upstream.address, supervisor=QUICK))
        client = sockets.connect(address)
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)
        assert said.wait(10)
        assert sockets.read_exactly(client, 4) == b"one "
        baton.reload()
        assert baton.wait_drained(moved_in=1)["moved_in"] == 1
        talk.set()
        assert sockets.read_all(client) == b"two"
        client.close()
        assert_nothing_is_left(baton)


def test_bytes_that_nobody_takes_yet_move(start, address):
    """The client does not read: what fills every buffer on the way arrives after the move."""
    payload = sockets.pattern(8 << 20)
    go = threading.Event()

    def server(connection):
        connection.recv(1)
        connection.sendall(payload)
        go.wait(20)
        connection.close()

    with Upstream(server) as upstream:
        baton = start(relay(address, upstream.address, supervisor=QUICK))
        client = sockets.connect(address, receive_buffer=4096)
        client.sendall(b"x")
        wait_until(lambda: baton.metric("baton_upstream_received_bytes_total") > 100_000, 10, "it flows")
        for _ in range(3):
            baton.reload()
            assert baton.wait_drained(moved_in=1)["moved_in"] == 1
        go.set()
        assert sockets.read_all(client) == payload
        client.close()


def test_idle_http_connections_move_and_keep_their_upstream_in_sight(start, address):
    with Upstream(answer_each_request) as upstream:
        baton = start(relay(address, upstream.address, supervisor=QUICK, listener={"protocol": "http"}))
        clients = [sockets.connect(address) for _ in range(20)]
        for _ in range(10):
            for client in clients:
                get(client)
            baton.reload()
            baton.wait_drained()
        assert baton.metric("baton_http_requests_total") == 200
        assert baton.metric("baton_listener_connections_total") == 20
        close_all(clients)
        assert_nothing_is_left_of_http(baton)


def answer_each_request(connection):
    while b"\r\n\r\n" in (request := connection.recv(1 << 16)):
        connection.sendall(ANSWER * request.count(b"\r\n\r\n"))


def answer_and_keep_it_shortly(connection):
    while connection.recv(1 << 16):
        connection.sendall(ANSWER.replace(b"content-length", b"keep-alive: timeout=2\r\ncontent-length"))


def get(client):
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert sockets.read_exactly(client, len(ANSWER)) == ANSWER


def test_idle_upstream_connections_move_with_their_clients(start, address):
    """The backend sees no new connection, however often the proxy is replaced."""
    with Upstream(answer_each_request) as upstream:
        baton = start(relay(address, upstream.address, supervisor=QUICK, listener={"protocol": "http"}))
        clients = [sockets.connect(address) for _ in range(8)]
        for client in clients:
            get(client)
        accepted = upstream.accepted
        for number in range(10):
            # A request in old at that moment would keep the connection that the next one in new needs.
            baton.reload("--wait-drained", "--proxy", (NEXT_PROXY, PROXY)[number % 2])
            for client in clients:
                get(client)
        assert upstream.accepted == accepted
        assert baton.metric("baton_upstream_connections_total") == accepted
        assert baton.metric("baton_upstream_connections_active") == upstream.open_connections
        assert baton.metric("baton_upstream_connections_moved_total") >= 10
        close_all(clients)


def test_idle_upstream_connections_move_when_no_client_is_there(start, address):
    count = 100
    all_there = threading.Barrier(count, timeout=10)

    def answer_together(connection):
        assert connection.recv(1 << 16)
        all_there.wait()
        connection.sendall(ANSWER)
        answer_each_request(connection)

    with Upstream(answer_together) as upstream:
        baton = start(relay(address, upstream.address, workers=1, supervisor=QUICK, listener={"protocol": "http"}))
        clients = [sockets.connect(address) for _ in range(count)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        for client in clients:
            assert sockets.read_all(client).startswith(b"HTTP/1.1 200")
        close_all(clients)
        wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "no client is there")
        for number in range(1, 4):
            baton.reload("--wait-drained", "--proxy", (NEXT_PROXY, PROXY)[number % 2])
            assert baton.metric("baton_upstream_connections_moved_total") == number * count
        assert upstream.open_connections == upstream.accepted == count


def test_idle_upstream_connections_that_nobody_wants_any_more_are_closed(start, address):
    with Upstream(answer_each_request) as upstream, Upstream(answer_each_request) as other:
        baton = start(relay(address, upstream.address, supervisor=QUICK, listener={"protocol": "http"}))
        with sockets.connect(address) as client:
            get(client)
            assert upstream.open_connections == 1
            baton.write(relay(address, other.address, supervisor=QUICK, listener={"protocol": "http"}))
            baton.reload()
            wait_until(lambda: upstream.open_connections == 0, 10, "its endpoint has left the cluster")
            get(client)
            assert other.accepted == 1
        baton.wait_drained()
        assert baton.metric("baton_upstream_connections_active") == 1


@pytest.mark.parametrize("said_by", ["the configuration", "the endpoint"])
def test_an_idle_upstream_connection_keeps_what_is_left_of_its_time(start, address, said_by):
    configured = said_by == "the configuration"
    with Upstream(answer_each_request if configured else answer_and_keep_it_shortly) as upstream:
        baton = start(relay(address, upstream.address, supervisor=QUICK, listener={"protocol": "http"},
                            cluster={"keepalive": {"idle_timeout": "1s" if configured else "1h"}}))
        with sockets.connect(address) as client:
            get(client)

            def is_closed():
                baton.reload()
                return upstream.open_connections == 0

            wait_until(is_closed, 10, "it is idle although there are reloads all the time")


def test_a_client_is_kept_for_its_time_behind_a_slow_answer(start, address):
    """Its last request began longer ago, and it moves behind the answer."""
    answer = threading.Event()

    def serve_slowly(connection):
        connection.recv(1 << 16)
        assert answer.wait(20)
        connection.sendall(ANSWER)
        connection.recv(1)

    with Upstream(serve_slowly) as upstream:
        baton = start(relay(address, upstream.address, supervisor=QUICK,
                            listener={"protocol": "http", "http": {"keep_alive_timeout": "2s"}}))
        with sockets.connect(address) as client:
            begun = time.monotonic()
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            baton.reload()
            wait_until(lambda: time.monotonic() > begun + 2.5, 10, "it takes long")
            answered = time.monotonic()
            answer.set()
            assert sockets.read_exactly(client, len(ANSWER)) == ANSWER
            assert sockets.is_closed_by_peer(client)
            assert time.monotonic() - answered > 1.9
        assert baton.wait_drained(moved_in=1)["id"] == 2


def assert_nothing_is_left_of_http(baton):
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "all have gone")
    assert baton.metric("baton_http_requests_active") == 0


@pytest.mark.parametrize("change", ["listener gone", "protocol", "switched off", "old release"])
def test_what_the_next_generation_cannot_take_drains(start, address, another_address, echoer, change):
    tables = also(relay(address, echoer.address, supervisor={**QUICK, "drain_time": "20s"}),
                  "stays", another_address)
    baton = start(tables)
    client = clients_of(address, 1)[0]
    arguments = []
    if change == "listener gone":
        tables["listener"] = tables["listener"][1:]
    elif change == "protocol":
        tables["listener"][0]["protocol"] = "http"
    elif change == "switched off":
        tables["proxy"]["move_connections"] = False
    else:
        arguments = ["--proxy", LISTENERS_ONLY_PROXY]
    baton.write(tables)
    baton.reload(*arguments)
    assert baton.wait_generation(1, "draining")["connections"] == 1
    sockets.ask(client, b"still here")
    rejected = baton.metric("baton_connections_move_rejected_total", reason="no_listener")
    assert rejected == (1 if change in ("listener gone", "protocol") else 0)
    client.close()
    baton.wait_drained()


def test_connections_do_not_follow_a_name_away_from_their_address(start, address, another_address, echoer):
    """Who has connected there gets what is there, or what was there."""
    with Upstream(serve) as web:
        def tables(one, other):
            front = also(relay(one, echoer.address, supervisor=QUICK), "web", other, web.address, **HTTP)
            front["listener"].append({**front["listener"][0], "name": "third", "address": third})
            return front

        third = f"0.0.0.0:{free_port()}"
        baton = start(tables(address, another_address))
        clients = [Tunnel(address), Kept(another_address), Tunnel(third.replace("0.0.0.0", "127.0.0.1"))]
        for client in clients:
            client.use()
        baton.write(tables(another_address, address))
        baton.reload()
        wait_until(lambda: baton.metric("baton_connections_move_rejected_total", reason="no_listener") == 2, 10,
                   "two do not move")
        assert baton.in_charge()["moved_in"] == 1
        for client in clients:
            client.use()
        baton.write(tables(address, another_address))
        baton.reload()
        assert baton.wait_drained(moved_in=3)["id"] == 3
        for client in clients:
            client.use()
            client.close()


def test_the_kernels_choice_between_a_wildcard_and_a_narrower_listener_is_respected(start, echoer):
    port = free_port()
    narrow, wide = f"127.0.0.1:{port}", f"0.0.0.0:{port}"

    def tables(front, other):
        return also(relay(front, echoer.address, supervisor=QUICK), "other", other)

    baton = start(tables(narrow, wide))
    client = clients_of(narrow, 1)[0]
    baton.write(tables(wide, narrow))
    baton.reload()
    wait_until(lambda: baton.metric("baton_connections_move_rejected_total", reason="no_listener") == 1, 10,
               "it does not move")
    sockets.ask(client, b"still in old")
    baton.write(tables(wide, wide.replace(str(port), str(free_port()))))
    baton.reload()
    assert baton.wait_drained(moved_in=1)["id"] == 3
    sockets.ask(client, b"and where its listener is now")
    client.close()


def test_an_endpoint_that_has_left_its_cluster_keeps_its_tunnels(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor=QUICK))
    client = clients_of(address, 1)[0]
    with Upstream(echo) as other:
        baton.write(relay(address, other.address, supervisor=QUICK))
        baton.reload()
        assert baton.wait_drained(moved_in=1)["moved_in"] == 1
        sockets.ask(client, b"with the old one")
        fresh = clients_of(address, 1)[0]
        assert other.accepted == 1
        close_all([client, fresh])


@pytest.mark.parametrize("its_cluster", ["stays", "goes"])
@pytest.mark.parametrize("kind", [Tunnel, Upgraded])
def test_a_tunnel_is_its_own_clusters_wherever_its_listener_leads(start, address, kind, its_cluster):
    """It is counted there, and takes no place among the connections of another cluster."""
    with Upstream(echo if kind is Tunnel else serve) as upstream:
        options = {"supervisor": QUICK, "listener": {} if kind is Tunnel else HTTP}
        tables = relay(address, upstream.address, **options)
        other = relay(address, upstream.address, cluster={"name": "other", "max_connections": 1},
                      **{**options, "listener": {**options["listener"], "cluster": "other"}})
        if its_cluster == "stays":
            other["cluster"] += tables["cluster"]
        baton = start(tables)

        def active(cluster):
            return baton.metric("baton_upstream_connections_active", cluster=cluster)

        moved = kind(address)
        for file in (other, tables, other):
            baton.write(file)
            baton.reload()
            baton.wait_drained(moved_in=1)
            sent = baton.metric("baton_upstream_sent_bytes_total", cluster="back")
            moved.use()
            counted = file is tables or its_cluster == "stays"
            assert (active("back"), active("other")) == (counted, 0)
            assert (baton.metric("baton_upstream_sent_bytes_total", cluster="back") > sent) == counted
        fresh = kind(address)
        fresh.use()
        assert active("other") == 1
        moved.close()
        fresh.close()
        assert_nothing_is_left(baton)


def test_connections_move_between_layouts_of_the_region(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor=QUICK))
    clients = clients_of(address, 5)
    for turn, proxy in enumerate((OTHER_LAYOUT_PROXY, OTHER_LAYOUT_PROXY, PROXY), 1):
        said = baton.reload("--proxy", proxy).out
        assert "5 connections moved, 0 left" in said, said
        row = baton.wait_drained(moved_in=5)
        assert (row["moved_in"], row["moved_out"]) == (5, 0)
        assert baton.status()["last_reload"]["moves"]["moved"] == 5
        wait_until(lambda: baton.metric("baton_connections_moved_total") == 5 * turn, 10, "reported")
        for client in clients:
            sockets.ask(client, b"here")
    close_all(clients)
    assert_nothing_is_left(baton)


def test_a_generation_of_another_layout_says_what_it_has_moved_while_it_drains(start, address,
                                                                               another_address, echoer):
    tables = also(relay(address, echoer.address, supervisor=QUICK), "stays", another_address)
    baton = start(tables, proxy=OTHER_LAYOUT_PROXY)
    stays, moves = clients_of(address, 2), clients_of(another_address, 5)
    tables["listener"] = tables["listener"][1:]
    baton.write(tables)
    said = baton.reload("--proxy", PROXY).out
    assert "5 connections moved, 2 left (rejected: 2 no_listener)" in said, said
    row = baton.generations()[1]
    assert (row["state"], row["connections"], row["moved_out"]) == ("draining", 2, 5)
    close_all([*stays, *moves])
    baton.wait_drained()
    assert baton.status()["last_reload"]["moves"]["moved"] == 5


def test_nobody_is_said_to_wait_for_max_connections_while_there_is_room(start, address, echoer):
    """Both generations count a batch that moves, for a moment."""
    baton = start(relay(address, echoer.address, supervisor=QUICK, listener={"max_connections": 310}))
    clients = clients_of(address, 300)
    for _ in range(10):
        reload = baton.ask_in_background("reload")
        while reload.poll() is None:
            close_all(clients_of(address, 1))
        assert reload.returncode == DONE
        baton.wait_drained(moved_in=300)
    assert baton.metric("baton_listener_connections_limited_total") == 0
    close_all([*clients, *clients_of(address, 10)])


@pytest.mark.parametrize("point", ["prepared", "answered"])
def test_new_dies_before_the_commit_and_old_goes_on(start, address, echoer, point):
    """Whatever it has accepted is taken back; nothing is lost."""
    baton = start(relay(address, echoer.address, workers=1, supervisor=QUICK),
                  env={"BATON_TEST_HOLD": f"{point}:2"})
    clients = clients_of(address, 10)
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_for_log(f"holding at {point}")
    processes.kill(baton.generations()[2]["pid"])
    reload.communicate(timeout=20)
    if point == "prepared":
        for client in clients:
            sockets.ask(client, b"after")
        assert baton.metric("baton_connections_move_returned_total") == 10
    else:  # the commit may have been on its way: then they have died with new, as in any crash
        alive = sum(1 for client in clients if not is_dead(client))
        assert alive in (0, 10), alive
    fresh = clients_of(address, 1)
    close_all([*clients, *fresh])


def is_dead(client):
    try:
        sockets.ask(client, b"after")
        return False
    except (OSError, AssertionError):
        return True


def test_new_that_never_answers_is_given_up(start, address, echoer):
    baton = start(relay(address, echoer.address, workers=1, supervisor=QUICK),
                  env={"BATON_TEST_HOLD": "prepared:2"})
    clients = clients_of(address, 5)
    assert baton.ask("reload", "--proxy", NEXT_PROXY).code == DONE
    baton.wait_for_log("connections are not taken over")
    for client in clients:
        sockets.ask(client, b"old has it")
    assert baton.generations()[1]["connections"] == 5
    # New has copies of their sockets, and still their ends are seen on the other side.
    ended = clients.pop()
    ended.shutdown(socket.SHUT_WR)
    assert sockets.read_all(ended) == b""
    ended.close()
    sockets.reset(clients.pop())
    wait_until(lambda: resets(echoer) == 1, 10, "the upstream has seen the reset")
    wait_until(lambda: echoer.open_connections == 3, 10, "and the end")
    close_all(clients)
    wait_until(lambda: echoer.open_connections == 0, 10, "all have gone")
    baton.stop("--now")


def resets(upstream):
    return sum(isinstance(error, ConnectionResetError) for error in upstream.errors)


def test_the_deadline_cuts_what_new_hangs_with(start, address, echoer):
    baton = start(relay(address, echoer.address, workers=1, supervisor={**QUICK, "drain_time": "4s"}),
                  env={"BATON_TEST_HOLD": "prepared:2"})
    clients = clients_of(address, 5)
    assert baton.ask("reload", "--proxy", NEXT_PROXY).code == DONE
    baton.wait_for_log("connections are not taken over")
    for client in clients:
        assert sockets.is_reset_by_peer(client)
    wait_until(lambda: resets(echoer) == 5, 10, "the upstream has seen it, too")
    close_all(clients)
    baton.stop("--now")


@pytest.mark.parametrize("point", ["offered", "accepted"])
def test_old_dies_before_the_commit_and_new_goes_on(start, address, echoer, point):
    """Everything that was offered lives on in new, once old is dead."""
    baton = start(relay(address, echoer.address, workers=1, supervisor=QUICK), proxy=NEXT_PROXY,
                  env={"BATON_TEST_HOLD": f"{point}:1"})
    clients = clients_of(address, 10)
    baton.reload("--proxy", PROXY)
    baton.wait_for_log(f"holding at {point}")
    processes.kill(baton.generations()[1]["pid"])
    for client in clients:
        sockets.ask(client, b"new has it")
    assert baton.wait_drained(moved_in=10)["moved_in"] == 10
    assert baton.metric("baton_connections_moved_total") == 10
    moves = baton.status()["last_reload"]["moves"]
    assert (moves["moved"], moves["left"], moves["lost"]) == (10, 0, 0)
    close_all(clients)
    assert_nothing_is_left(baton)


def test_either_dies_after_the_commit(start, address, echoer):
    baton = start(relay(address, echoer.address, workers=1, supervisor=QUICK), proxy=NEXT_PROXY,
                  env={"BATON_TEST_HOLD": "committed:1"})
    clients = clients_of(address, 10)
    baton.reload("--proxy", PROXY)
    baton.wait_for_log("holding at committed")
    processes.kill(baton.generations()[1]["pid"])
    for client in clients:
        sockets.ask(client, b"new has it")
    close_all(clients)
    assert_nothing_is_left(baton)


def test_reload_tells_what_has_moved_however_late_old_begins(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={**QUICK, "probation": "4s"}))
    clients = clients_of(address, 20)
    reload = baton.ask_in_background("reload")
    old = baton.wait_generation(1, "paused")["pid"]
    processes.suspend(old)
    baton.wait_generation(1, "draining")
    with pytest.raises(subprocess.TimeoutExpired):
        reload.wait(0.5)
    processes.kill(old, signal.SIGCONT)
    said, _ = reload.communicate(timeout=20)
    assert "20 connections moved, 0 left" in said, said
    close_all(clients)


def test_no_event_of_a_moved_connection_reaches_old(start, address, another_address, echoer):
    """Old keeps one connection and must not wake up for those that have left."""
    tables = also(relay(address, echoer.address, supervisor=QUICK), "other", another_address)
    baton = start(tables)
    kept, moved = clients_of(another_address, 1)[0], clients_of(address, 20)
    tables["listener"] = tables["listener"][:1]
    baton.write(tables)
    baton.reload()
    old = baton.wait_generation(1, "draining")
    wait_until(lambda: baton.generations()[1]["connections"] == 1, 10, "the others have moved")
    wakes = processes.context_switches(old["pid"])
    for _ in range(50):
        for client in moved:
            sockets.ask(client, b"traffic")
    assert processes.context_switches(old["pid"]) - wakes < 200, "it woke up for what is not its own"
    sockets.ask(kept, b"kept")
    close_all([kept, *moved])
    baton.wait_drained()


def test_without_descriptors_for_all_the_rest_drains(start, address, echoer):
    baton = start(relay(address, echoer.address, workers=1, supervisor=QUICK),
                  wrapper=["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"])
    clients = clients_of(address, 15)
    for _ in range(3):
        baton.reload()
        for client in clients:
            sockets.ask(client, b"alive")
    close_all(clients)
    assert_nothing_is_left(baton)

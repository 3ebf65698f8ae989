"""The byte proxy: what a TCP relay owes to both sides."""

import hashlib
import resource
import socket
import struct
import threading
import time

import pytest
from harness import processes, sockets
from harness.load import ShortClients
from harness.ports import free_port
from harness.tables import also, relay, saying
from harness.upstreams import (HalfCloser, Unresponsive, Upstream, answer_one_line, digest_at_the_end, echo,
                               hang, refusing_address, reset_after_a_line, sender_of)
from harness.waiting import Deadline, wait_until


def a(kind, directory, name):
    return {"v4": f"127.0.0.1:{free_port()}", "v6": f"[::1]:{free_port()}",
            "unix": f"unix:{directory}/{name}.sock"}[kind]


@pytest.mark.parametrize("behind", ["v4", "v6", "unix"])
@pytest.mark.parametrize("front", ["v4", "v6", "unix"])
def test_every_family_on_both_sides(start, directory, front, behind):
    with Upstream(echo, a(behind, directory, "behind")) as upstream:
        address = a(front, directory, "front")
        start(relay(address, upstream.address))
        with sockets.connect(address) as client:
            sockets.ask(client, sockets.pattern(300_000))


def test_a_big_transfer_arrives_whole_in_both_directions(start, address, echoer):
    start(relay(address, echoer.address))
    payload = sockets.pattern(48 << 20)
    with sockets.connect(address) as client:
        sender = threading.Thread(target=client.sendall, args=(payload,))
        sender.start()
        received = sockets.read_exactly(client, len(payload))
        sender.join()
    assert hashlib.sha256(received).digest() == hashlib.sha256(payload).digest()


def test_the_client_may_close_its_half_first(start, address):
    with Upstream(digest_at_the_end) as upstream:
        start(relay(address, upstream.address))
        payload = sockets.pattern(3 << 20)
        with sockets.connect(address) as client:
            client.sendall(payload)
            client.shutdown(socket.SHUT_WR)
            answer = sockets.read_all(client)
    assert answer == f"{len(payload)} {hashlib.sha256(payload).hexdigest()}\n".encode()


def test_the_upstream_may_close_its_half_first(start, address):
    closer = HalfCloser()
    with Upstream(closer) as upstream:
        start(relay(address, upstream.address))
        payload = sockets.pattern(3 << 20)
        with sockets.connect(address) as client:
            assert sockets.read_all(client) == closer.word
            client.sendall(payload)
        assert closer.done.wait(20)
    assert closer.heard == payload


def test_a_half_closed_connection_survives_a_reload(start, address):
    closer = HalfCloser()
    with Upstream(closer) as upstream:
        baton = start(relay(address, upstream.address, supervisor={"drain_time": "1h"}))
        with sockets.connect(address) as client:
            assert sockets.read_all(client) == closer.word
            baton.reload()
            client.sendall(b"said after the reload")
        assert closer.done.wait(20)
    assert closer.heard == b"said after the reload"


def test_a_slow_reader_slows_the_sender_and_fills_no_memory(start, address):
    payload = sockets.pattern(96 << 20)
    with Upstream(sender_of(payload)) as upstream:
        baton = start(relay(address, upstream.address))
        pid = baton.in_charge()["pid"]
        before = processes.private_bytes(pid)
        with sockets.connect(address, receive_buffer=16 << 10) as client:
            # The sender is stuck once the counter of passed bytes stands still.
            passed = [-1]

            def stands_still():
                now = baton.metric("baton_listener_sent_bytes_total")
                still = now > 0 and now == passed[0]
                passed[0] = now
                return still

            wait_until(stands_still, 20, "the sender is stuck")
            assert passed[0] < len(payload) / 2
            assert processes.private_bytes(pid) - before < 8 << 20
            received = sockets.read_all(client)
    assert hashlib.sha256(received).digest() == hashlib.sha256(payload).digest()


def test_a_slow_upstream_slows_the_client_and_fills_no_memory(start, address):
    with Upstream(hang) as upstream:
        baton = start(relay(address, upstream.address))
        pid = baton.in_charge()["pid"]
        before = processes.private_bytes(pid)
        with sockets.connect(address) as client:
            client.setblocking(False)
            chunk, taken, quiet_since = bytes(1 << 16), 0, time.monotonic()

            def stuck():
                nonlocal taken, quiet_since
                try:
                    taken += client.send(chunk)
                    quiet_since = time.monotonic()
                except BlockingIOError:
                    pass
                assert taken < 256 << 20, "the proxy takes bytes for ever"
                return time.monotonic() - quiet_since > 0.3

            wait_until(stuck, 20, "the client is stuck")
            assert processes.private_bytes(pid) - before < 8 << 20


def send_until_stuck(client):
    client.setblocking(False)
    last = time.monotonic()

    def stuck():
        nonlocal last
        try:
            client.send(bytes(1 << 16))
            last = time.monotonic()
        except BlockingIOError:
            pass
        return time.monotonic() - last > 0.3

    wait_until(stuck, 20, "the client is stuck")


def wait_until_none_is_held(baton):
    wait_until(lambda: baton.in_charge()["connections"] == 0, 5, "the reset is noticed")


@pytest.mark.parametrize("protocol", ["tcp", "http"])
def test_a_reset_is_noticed_while_the_client_is_not_read(start, address, protocol):
    with Upstream(hang) as upstream:
        baton = start(relay(address, upstream.address, listener={"protocol": protocol, "max_connections": 1}))
        client = sockets.connect(address)
        if protocol == "http":
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        send_until_stuck(client)
        sockets.reset(client)
        wait_until_none_is_held(baton)


def test_a_reset_is_noticed_while_the_upstream_is_being_connected(start, address):
    with Unresponsive() as upstream:
        baton = start(relay(address, upstream.address, cluster={"connect_timeout": "60s"}))
        client = sockets.connect(address)
        wait_until(lambda: baton.in_charge()["connections"] == 1, 5, "it is accepted")
        sockets.reset(client)
        wait_until_none_is_held(baton)


def test_a_reset_is_noticed_behind_a_half_close(start, address):
    with Upstream(hang) as upstream:
        baton = start(relay(address, upstream.address))
        client = sockets.connect(address)
        client.sendall(b"all I have\n")
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: upstream.open_connections == 1, 5, "it is connected")
        sockets.reset(client)
        wait_until_none_is_held(baton)


def test_many_stuck_clients_do_not_stall_others(start, address, another_address, liner):
    with Upstream(sender_of(bytes(32 << 20))) as sender:
        start(also(relay(address, sender.address, workers=1), "short", another_address, liner.address))
        stuck = [sockets.connect(address, receive_buffer=4096) for _ in range(20)]
        with ShortClients(another_address, clients=4) as load:
            load.wait_for_more(100)
            tally = load.stop()
        assert not tally.failures and tally.slowest < 5, tally
        for client in stuck:
            client.close()


def test_a_client_that_says_nothing_holds_nobody_up(start, address, liner):
    start(relay(address, liner.address, workers=1))
    silent = [sockets.connect(address) for _ in range(50)]
    with ShortClients(address, clients=4) as load:
        load.wait_for_more(50)
        assert not load.stop().failures
    for client in silent:
        client.close()


def test_a_client_that_resets_harms_nobody(start, address, liner):
    baton = start(relay(address, liner.address, workers=1))
    with ShortClients(address, clients=4) as load:
        for _ in range(200):
            client = sockets.connect(address)
            client.send(b"half a li")
            sockets.reset(client)
        load.wait_for_more(50)
        assert not load.stop().failures
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 5, "all have ended")
    assert baton.in_charge()["id"] == 1


def test_an_upstream_reset_reaches_the_client_as_a_reset(start, address):
    """So that a truncated answer is never mistaken for a whole one."""
    with Upstream(reset_after_a_line) as upstream:
        start(relay(address, upstream.address))
        with sockets.connect(address) as client:
            client.sendall(b"x\n")
            with pytest.raises(ConnectionResetError):
                sockets.read_all(client)


@pytest.mark.parametrize("length", ["short", "more than the client's socket takes"])
def test_an_answer_that_was_ended_in_order_arrives_although_the_upload_waits(start, address, length):
    """The server reads nothing, so its end is followed by a reset when it closes. Of a long answer Baton has not read
    the end then."""
    fin_wait_2 = 5
    piece = sockets.pattern(48_000)
    stuck, may_close = threading.Event(), threading.Event()
    answering, pieces = [], []

    def is_read():
        received = "baton_upstream_received_bytes_total"
        try:
            return wait_until(lambda: baton.metric(received) == len(pieces) * len(piece), 1, received)
        except Deadline:
            return False

    def answer_unread(connection):
        if answering:
            return echo(connection)
        answering.append(connection)
        stuck.wait(20)
        while not pieces or (length != "short" and is_read()):
            pieces.append(piece)
            connection.sendall(piece)
            wait_until(lambda: sockets.unacknowledged(connection) == 0, 10, "the piece has arrived")
        connection.shutdown(socket.SHUT_WR)
        may_close.wait(20)

    with Upstream(answer_unread) as upstream:
        baton = start(relay(address, upstream.address, workers=1))
        with sockets.connect(address, receive_buffer=4096) as client:
            wait_until(lambda: answering, 5, "the upload has a server")
            client.settimeout(1)
            with pytest.raises(TimeoutError):
                while True:
                    client.sendall(b"u" * (1 << 20))
            stuck.set()
            wait_until(lambda: answering[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == fin_wait_2,
                       90, "the end has arrived")
            with sockets.connect(address) as other:
                sockets.ask(other, b"so the worker has read it")
                may_close.set()
                wait_until(lambda: upstream.open_connections == 1, 10, "the server has closed")
                sockets.ask(other, b"and noticed")
            client.settimeout(20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            assert sockets.read_all(client) == piece * len(pieces)
        assert baton.metric("baton_listener_connections_total") == 2


def test_a_client_reset_reaches_the_upstream_as_a_reset(start, address):
    with Upstream(echo) as upstream:
        start(relay(address, upstream.address))
        client = sockets.connect(address)
        sockets.ask(client, b"x")
        sockets.reset(client)
        wait_until(lambda: upstream.errors, 10, "the upstream sees an error")
        assert isinstance(upstream.errors[0], ConnectionResetError)


def test_a_refusing_endpoint_is_passed_over(start, address, liner):
    baton = start(relay(address, refusing_address(), liner.address))
    with ShortClients(address, clients=2) as load:
        load.wait_for_more(20)
        assert not load.stop().failures
    assert baton.metric("baton_upstream_connect_failures_total") > 0


def test_when_every_endpoint_refuses_the_client_is_closed(start, address):
    baton = start(relay(address, refusing_address(), refusing_address()))
    with sockets.connect(address) as client:
        assert sockets.is_closed_by_peer(client)
    wait_until(lambda: baton.metric("baton_upstream_connect_failures_total") == 2, 5, baton.metrics)
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 5, "none is left")


def test_an_endpoint_that_hangs_is_given_up_after_connect_timeout(start, address, liner):
    with Unresponsive() as hanging:
        baton = start(relay(address, hanging.address, liner.address, cluster={"connect_timeout": "200ms"}))
        for _ in range(4):
            with sockets.connect(address) as client:
                client.sendall(b"x\n")
                assert sockets.read_all(client) == b"answer to x\n"
        assert baton.metric("baton_upstream_connect_timeouts_total") > 0


def test_endpoints_take_turns_by_weight(start, address):
    with Upstream(answer_one_line) as light, Upstream(answer_one_line) as heavy:
        start(relay(address, light.address, {"address": heavy.address, "weight": 3}, workers=1))
        for _ in range(40):
            with sockets.connect(address) as client:
                client.sendall(b"x\n")
                sockets.read_all(client)
        assert (light.accepted, heavy.accepted) == (10, 30)


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(start, address, echoer):
    start(relay(address, echoer.address, listener={"idle_timeout": "2s"}))
    with sockets.connect(address) as idle, sockets.connect(address) as busy:
        begin = time.monotonic()
        sockets.ask(idle, b"x")

        def idle_has_ended():
            sockets.ask(busy, b"x")
            idle.settimeout(0.01)
            try:
                return idle.recv(1) == b""
            except TimeoutError:
                return False

        wait_until(idle_has_ended, 10, "the idle one is closed")
        assert time.monotonic() - begin > 1.9
        sockets.ask(busy, b"x")


def test_max_connections_lets_others_wait_and_holds_across_a_reload(start, address, echoer):
    baton = start(relay(address, echoer.address, listener={"max_connections": 3},
                        supervisor={"drain_time": "1h"}))
    inside = []
    for n in range(3):
        inside.append(sockets.connect(address))
        sockets.ask(inside[-1], b"in")
        if n == 1:
            baton.reload()
    outside = sockets.connect(address)  # the kernel completes the handshake; nobody accepts it
    outside.sendall(b"let me in")
    outside.settimeout(0.3)
    with pytest.raises(TimeoutError):
        outside.recv(1)
    assert baton.metric("baton_listener_connections_total") == 3 == echoer.accepted
    # A worker that may take one more counts it first.
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 3, 5, "three are active")
    outside.settimeout(sockets.PATIENCE)
    inside.pop(0).close()  # one that old holds
    assert sockets.read_exactly(outside, 9) == b"let me in"
    assert baton.metric("baton_listener_connections_limited_total") == 1
    for client in [*inside, outside]:
        client.close()


def test_running_out_of_descriptors_backs_off_and_recovers(start, address, echoer):
    baton = start(relay(address, echoer.address, workers=1))
    pid = baton.in_charge()["pid"]
    with sockets.connect(address) as first:
        sockets.ask(first, b"before")
        highest = max(processes.fds(pid))
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
        waiting = [sockets.connect(address) for _ in range(10)]
        wait_until(lambda: baton.metric("baton_listener_accept_errors_total") > 0, 10, "accept fails")
        begin, used = time.monotonic(), processes.cpu_seconds(pid)
        for _ in range(200):
            sockets.ask(first, b"meanwhile")  # who is in is served
        wait_until(lambda: time.monotonic() - begin > 0.5, 5, "half a second")
        assert processes.cpu_seconds(pid) - used < 0.4, "it spins"
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        for client in waiting:
            with client:
                sockets.ask(client, b"after")
    assert baton.metric("baton_listener_accept_errors_total") < 100


def test_a_stop_without_descriptors_gives_connections_their_time(start, address, echoer):
    """Who waits in the queue then keeps it from being emptied, for longer than an order may take."""
    baton = start(relay(address, echoer.address, workers=1))
    pid = baton.in_charge()["pid"]
    with sockets.connect(address) as client:
        sockets.ask(client, b"before")
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(processes.fds(pid)) + 1, hard))
        waiting = [sockets.connect(address) for _ in range(3)]
        wait_until(lambda: baton.metric("baton_listener_accept_errors_total") > 0, 10, "accept fails")
        stop, began = baton.ask_in_background("stop", "--drain-time", "1m"), time.monotonic()
        while time.monotonic() - began < 6:
            sockets.ask(client, b"meanwhile")
        for each in [*waiting, client]:
            each.close()
        assert stop.wait(20) == 0, stop.communicate()
    assert "did not take the order" not in baton.log()


def test_an_idle_connection_needs_little_memory(start, address, echoer):
    """A bound against buffers held while idle; the figure itself is a benchmark's."""
    baton = start(relay(address, echoer.address))
    pid = baton.in_charge()["pid"]

    def open_some(count):
        clients = [sockets.connect(address) for _ in range(count)]
        for client in clients:
            sockets.ask(client, bytes(20_000))
        return clients

    warm = open_some(50)
    before = processes.private_bytes(pid)
    more = open_some(400)
    grown = processes.private_bytes(pid) - before
    for client in warm + more:
        client.close()
    assert grown / 400 < 4096, grown / 400


def test_direct_response_outlives_a_client_that_talks_first(start, address):
    """Unread input must not turn into a reset that destroys the answer."""
    start(saying(address, "the whole answer\n"))
    for _ in range(20):
        with sockets.connect(address) as client:
            client.sendall(b"GET / HTTP/1.1\r\n" + b"x" * 5000)
            assert sockets.read_all(client) == b"the whole answer\n"


def test_ip_filter_keeps_out_whom_it_should(start, address, another_address, echoer):
    tables = relay(address, echoer.address)
    tables["listener"][0]["filter"] = [{"type": "ip_filter", "deny": ["127.0.0.0/8"]}]
    tables = also(tables, "open", another_address,
                  filter=[{"type": "ip_filter", "allow": ["127.0.0.0/8"]}])
    start(tables)
    with sockets.connect(address) as denied, sockets.connect(another_address) as allowed:
        assert sockets.is_closed_by_peer(denied)
        sockets.ask(allowed, b"x")
    assert echoer.accepted == 1


def test_urgent_endings_in_any_order_leave_nothing(start, address, echoer):
    """Close, reset and half-close in turn, a hundred of each, on one worker."""
    baton = start(relay(address, echoer.address, workers=1))
    fds = len(processes.fds(baton.in_charge()["pid"]))
    for i in range(300):
        client = sockets.connect(address)
        client.sendall(b"x" * (i * 37 % 5000))
        if i % 3 == 0:
            client.close()
        elif i % 3 == 1:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        else:
            client.shutdown(socket.SHUT_WR)
            assert len(sockets.read_all(client)) == i * 37 % 5000
            client.close()
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "all have ended")
    wait_until(lambda: len(processes.fds(baton.in_charge()["pid"])) == fds, 5,
               lambda: processes.fds(baton.in_charge()["pid"]))

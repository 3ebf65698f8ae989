"""UDP listeners: sessions, their limits and counters, and what a reload leaves of them alone."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest
from harness import processes, sockets, udp
from harness.baton import BUILD, CRASHING_PROXY, FAILED, LISTENERS_ONLY_PROXY, NEXT_PROXY, PROXY
from harness.dns import A, NameServer
from harness.ports import free_port
from harness.tables import relay
from harness.udp import AskingClients, DnsPerf, LastingClients, UdpUpstream
from harness.upstreams import refusing_address
from harness.waiting import wait_until

QUICK = {"probation": "20ms", "drain_time": "10s"}


def relay_udp(address, *endpoints, **options):
    """One udp listener, "front", to these endpoints, the cluster "back"."""
    tables = relay(address, *endpoints, **options)
    tables["listener"][0] |= {"protocol": "udp", **options.get("listener", {})}
    return tables


@pytest.fixture
def udp_echoer():
    with UdpUpstream() as upstream:
        yield upstream


def active(baton):
    return baton.metric("baton_listener_connections_active", listener="front")


def dropped(baton, reason=None):
    labels = {"reason": reason} if reason else {}
    return baton.metric("baton_udp_datagrams_dropped_total", listener="front", **labels)


# --- datagrams ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1472, 9000, 65507])
def test_datagrams_of_any_size_pass_as_they_are(start, address, udp_echoer, size):
    start(relay_udp(address, udp_echoer.address))
    with udp.connect(address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for seed in range(3):
            payload = sockets.pattern(size, seed)
            assert udp.ask(client, payload) == payload
    assert udp_echoer.datagrams == 3 and len(udp_echoer.clients) == 1


def test_an_upstream_may_answer_often_or_never_or_unasked(start, address):
    with UdpUpstream(lambda datagram: [b"%d" % i for i in range(int(datagram))]) as upstream:
        start(relay_udp(address, upstream.address))
        with udp.connect(address) as client:
            client.send(b"0")
            client.send(b"40")
            assert [client.recv(100) for _ in range(40)] == [b"%d" % i for i in range(40)]
            upstream.say(b"unasked")
            assert client.recv(100) == b"unasked"


def test_each_client_gets_its_own_answers(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(udp.connect(address)) for _ in range(200)]
        for n, client in enumerate(clients):
            client.send(b"client %d" % n)
        for n, client in enumerate(clients):
            assert client.recv(100) == b"client %d" % n
        assert active(baton) == 200 == len(udp_echoer.clients)


def test_over_ipv6(start):
    port, upstream_port = free_port(), free_port()
    with UdpUpstream(address=f"[::1]:{upstream_port}") as upstream:
        start(relay_udp(f"[::1]:{port}", upstream.address))
        with udp.connect(f"[::1]:{port}") as client:
            assert udp.ask(client, b"six") == b"six"


@pytest.mark.parametrize("listening,reached", [("0.0.0.0", ["127.0.0.1", "127.1.2.3"]), ("[::]", ["[::1]"])])
def test_a_reply_leaves_from_the_address_it_was_sent_to(start, udp_echoer, listening, reached):
    """A connected client hears nothing that comes from elsewhere."""
    port = free_port()
    start(relay_udp(f"{listening}:{port}", udp_echoer.address))
    for host in reached:
        with udp.connect(f"{host}:{port}") as client:
            assert udp.ask(client, host.encode()) == host.encode()
    # One client at two addresses of the listener is two clients.
    assert len(udp_echoer.clients) == len(reached)


def test_one_socket_that_asks_two_addresses_has_two_sessions(start, udp_echoer):
    port = free_port()
    start(relay_udp(f"0.0.0.0:{port}", udp_echoer.address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(udp.PATIENCE)
        for host in ("127.0.0.1", "127.9.9.9"):
            client.sendto(host.encode(), (host, port))
            assert client.recvfrom(100) == (host.encode(), (host, port))
    assert len(udp_echoer.clients) == 2


def test_tcp_and_udp_on_one_port(start, address, echoer, udp_echoer):
    tables = relay_udp(address, udp_echoer.address)
    tables["listener"].append({"name": "stream", "address": address, "protocol": "tcp", "cluster": "tcp"})
    tables["cluster"].append({"name": "tcp", "endpoints": [echoer.address]})
    baton = start(tables)
    with contextlib.ExitStack() as stack:
        # A socket that is closed may leave its port, and with it its session, to the next one.
        clients = [stack.enter_context(udp.connect(address)) for _ in range(3)]
        for client in clients:
            with sockets.connect(address) as stream:
                assert udp.ask(client, b"datagram") == b"datagram"
                sockets.ask(stream, b"stream")
                baton.reload()
    assert baton.metric("baton_listener_connections_total", listener="stream") == 3
    assert baton.metric("baton_listener_connections_total", listener="front") == 3


# --- sessions ----------------------------------------------------------------------------------


def test_a_client_keeps_its_session_until_it_is_idle(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, listener={"idle_timeout": "4s"}))
    with udp.connect(address) as client:
        for _ in range(3):
            udp.ask(client, b"same")
        assert len(udp_echoer.clients) == 1 and active(baton) == 1
        wait_until(lambda: active(baton) == 0, 10, "the session is idle")
        assert udp.ask(client, b"again") == b"again"
    assert baton.metric("baton_listener_connections_total", listener="front") == 2
    assert baton.metric("baton_listener_connection_duration_seconds_count", listener="front") >= 1


def test_round_robin_gives_each_client_one_endpoint(start, address):
    with UdpUpstream() as one, UdpUpstream() as two:
        start(relay_udp(address, one.address, two.address, workers=1))
        with contextlib.ExitStack() as stack:
            for client in [stack.enter_context(udp.connect(address)) for _ in range(10)]:
                for _ in range(3):
                    udp.ask(client, b"x")
        assert one.datagrams == two.datagrams == 15
        assert len(one.clients) == len(two.clients) == 5


@pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
def test_a_hash_gives_one_address_one_endpoint(start, address, policy):
    with UdpUpstream(lambda _: [b"one"]) as one, UdpUpstream(lambda _: [b"two"]) as two:
        start(relay_udp(address, one.address, two.address, cluster={"lb_policy": policy}))
        answers = {}
        for n in range(90):  # 30 addresses: all of them at one endpoint would be no accident
            source = f"127.0.0.{n % 30 + 1}:0"
            with udp.connect(address, source) as client:
                answers.setdefault(source, set()).add(udp.ask(client, b"x"))
    assert all(len(each) == 1 for each in answers.values()), answers
    assert set().union(*answers.values()) == {b"one", b"two"}


def test_an_endpoint_that_is_not_there_is_left_for_another(start, address, udp_echoer):
    dead = refusing_address()
    baton = start(relay_udp(address, dead, udp_echoer.address, workers=1))
    with udp.connect(address) as client:
        wait_until(lambda: udp.ask(client, b"?", 0.2) == b"?", 10, "an answer from the other endpoint")
    assert baton.metric("baton_upstream_connect_failures_total", cluster="back") >= 1


def test_refusals_eject_an_endpoint(start, address, udp_echoer):
    dead = refusing_address()
    baton = start(relay_udp(address, dead, udp_echoer.address, workers=1,
                            cluster={"outlier_detection": {"consecutive_connect_failures": 2,
                                                           "max_ejection_percent": 50}}))

    def ejected():
        with udp.connect(address) as client:
            udp.ask(client, b"?", 0.05)
        return baton.metric("baton_upstream_ejections_total", cluster="back") == 1

    wait_until(ejected, 10, "the dead endpoint is ejected")
    for _ in range(6):
        with udp.connect(address) as client:
            assert udp.ask(client, b"!") == b"!"


def test_a_restarted_upstream_is_found_by_the_next_datagram(start, address):
    with UdpUpstream() as first:
        upstream = first.address
        baton = start(relay_udp(address, upstream))
        client = udp.connect(address)
        udp.ask(client, b"before")
    with client:
        assert udp.ask(client, b"gone", 0.2) is None
        wait_until(lambda: baton.metric("baton_upstream_connect_failures_total", cluster="back") >= 1, 10,
                   "it has been refused")
        with UdpUpstream(address=upstream):
            assert udp.ask(client, b"after") == b"after"


def test_max_connections_is_for_sessions_over_all_workers(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, workers=4, listener={"max_connections": 3}))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(udp.connect(address)) for _ in range(3)]
        for client in clients:
            assert udp.ask(client, b"in") == b"in"
        with udp.connect(address) as late:
            assert udp.ask(late, b"out", 0.2) is None
        for client in clients:
            assert udp.ask(client, b"still in") == b"still in"
    assert dropped(baton) == dropped(baton, "max_connections") == 1


def test_a_cluster_without_endpoints_drops_and_counts(start, address, udp_echoer, directory):
    (directory / "endpoints").write_text("")
    tables = relay_udp(address, udp_echoer.address)
    tables["cluster"] = [{"name": "back", "endpoints_file": str(directory / "endpoints")}]
    baton = start(tables)
    with udp.connect(address) as client:
        assert udp.ask(client, b"?", 0.1) is None
    assert dropped(baton) == dropped(baton, "no_endpoint") == 1
    assert active(baton) == 0


def test_counters(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address))
    with udp.connect(address) as client:
        for size in (0, 10, 100):
            udp.ask(client, b"x" * size)

    def count(name, **labels):
        return baton.metric(name, **labels)

    assert count("baton_udp_datagrams_received_total", listener="front") == 3
    # Counted once the client has it already.
    wait_until(lambda: count("baton_udp_datagrams_sent_total", listener="front") == 3, 10, "all are counted")
    assert count("baton_listener_received_bytes_total", listener="front") == 110
    assert count("baton_listener_sent_bytes_total", listener="front") == 110
    assert count("baton_upstream_sent_bytes_total", cluster="back") == 110
    assert count("baton_upstream_received_bytes_total", cluster="back") == 110
    assert count("baton_upstream_connections_total", cluster="back") == 1
    assert count("baton_upstream_connections_active", cluster="back") == 1
    assert dropped(baton) == 0


# --- reloads -----------------------------------------------------------------------------------


def ask_during(baton, address, reloads, clients=16):
    """Runs these while clients ask; returns what they saw."""
    with AskingClients(address, clients) as load:
        for reload in reloads:
            before = load.answered()
            reload()
            wait_until(lambda: load.answered() > before + 20, 20, lambda: f"more answers: {load.total}")
        return load.stop()


def test_a_storm_of_reloads_loses_no_datagram(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, supervisor=QUICK,
                            listener={"idle_timeout": "5s"}))

    def reload(i):
        return lambda: baton.reload("--proxy", (PROXY, NEXT_PROXY)[i % 2])

    tally = ask_during(baton, address, [reload(i) for i in range(30)])
    assert not tally.unanswered and not tally.wrong, tally
    assert tally.answered > 600
    assert baton.wait_drained()["id"] == 31
    for way in ("received", "sent"):
        wait_until(lambda way=way: baton.metric(f"baton_udp_datagrams_{way}_total", listener="front")
                   == tally.answered, 10, f"all are counted as {way}")
    wait_until(lambda: active(baton) == 0, 20, "no session is left")


def test_worker_counts_change_under_load(start, address, udp_echoer):
    def config(workers):
        return relay_udp(address, udp_echoer.address, workers=workers, supervisor=QUICK)

    baton = start(config(1))

    def reload(workers):
        def change():
            baton.write(config(workers))
            baton.reload()

        return change

    tally = ask_during(baton, address, [reload(n) for n in (4, 2, 8, 1, 3, 1)])
    assert not tally.unanswered and not tally.wrong, tally


def test_the_first_of_new_sockets_is_not_read_late(start, address, udp_echoer):
    """While a generation warms up, no socket of its own takes datagrams that nobody reads yet."""
    def config(workers, *endpoints):
        tables = relay_udp(address, udp_echoer.address, workers=workers, supervisor=QUICK)
        return {**tables, "proxy": {**tables["proxy"], "warm_time": "5s", "dns_servers": [silent]},
                "cluster": [*tables["cluster"], *endpoints]}

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        silent = f"127.0.0.1:{hole.getsockname()[1]}"
        baton = start(config(1))
        baton.write(config(8, {"name": "slow", "endpoints": ["slow.test:1"]}))
        with AskingClients(address, patience=2.5) as load:
            baton.reload()
            tally = load.stop()
    assert not tally.unanswered and tally.answered > 500, tally
    assert tally.slowest < 2.5


def test_replies_reach_clients_of_a_generation_that_drains(start, address):
    with UdpUpstream(lambda _: []) as upstream:
        baton = start(relay_udp(address, upstream.address, supervisor=QUICK, moves=False))
        with udp.connect(address) as client:
            client.send(b"question")
            wait_until(lambda: upstream.datagrams == 1, 10, "the question is there")
            baton.reload()
            baton.wait_generation(1, "draining")
            upstream.say(b"a late answer")
            assert client.recv(100) == b"a late answer"
            # What the client says now is the next generation's.
            client.send(b"next")
            wait_until(lambda: len(upstream.clients) == 2, 10, "another session")
            upstream.say(b"answer")
            assert client.recv(100) == b"answer"
        # It hears of no client any more, so it does not wait for the idle timeout of a minute.
        assert baton.wait_drained(9)["id"] == 2
    assert baton.metric("baton_listener_connections_cut_total", listener="front") == 0


def wait_until_refused(address):
    """The old generation lets go once the new one is in charge, a moment after the reload's answer."""
    wait_until(lambda: udp.is_refused(address), 10, "nobody is there")


def test_a_listener_that_is_gone_answers_what_was_asked(start, address, another_address):
    with UdpUpstream(lambda _: []) as upstream:
        baton = start(relay_udp(address, upstream.address, supervisor=QUICK))
        with udp.connect(address) as client:
            client.send(b"question")
            wait_until(lambda: upstream.datagrams == 1, 10, "the question is there")
            baton.write(relay_udp(another_address, upstream.address, supervisor=QUICK))
            baton.reload()
            upstream.say(b"the answer")
            assert client.recv(100) == b"the answer"
        # The generation that drains still has a socket there, but nobody's datagrams.
        assert len(baton.generations()) == 2
        wait_until_refused(address)


@pytest.mark.parametrize("wildcard", [False, True])
def test_a_listener_that_comes_back_gets_everything(start, another_address, udp_echoer, wildcard):
    """Also while the generation that had it before still drains."""
    port = free_port()
    bound, address = f"{'0.0.0.0' if wildcard else '127.0.0.1'}:{port}", f"127.0.0.1:{port}"
    here = relay_udp(bound, udp_echoer.address, supervisor=QUICK, workers=4)
    baton = start(here)
    with udp.connect(address) as client:
        udp.ask(client, b"a session that keeps the first generation")
    baton.write(relay_udp(another_address, udp_echoer.address, supervisor=QUICK))
    baton.reload()
    wait_until_refused(address)
    baton.write(here)
    baton.reload()
    assert 1 in baton.generations()
    for n in range(100):
        with udp.connect(address) as client:
            assert udp.ask(client, b"%d" % n) == b"%d" % n


def start_growing(start, address, upstream, point, start_timeout=None, **supervisor):
    """A Baton of one worker whose proxy-next has four and hangs at this point of its start."""
    baton = start(relay_udp(address, upstream.address, workers=1, supervisor=supervisor),
                  env={"BATON_TEST_HOLD": point})
    if start_timeout:
        supervisor = {**supervisor, "start_timeout": start_timeout}
    baton.write(relay_udp(address, upstream.address, workers=4, supervisor=supervisor))
    return baton


@pytest.mark.parametrize("point", ["negotiated", "inherited", "ready"])
def test_a_candidate_that_never_serves_costs_no_datagram(start, address, udp_echoer, point):
    baton = start_growing(start, address, udp_echoer, point, start_timeout="1s")
    with AskingClients(address) as load:
        assert baton.ask("reload", "--proxy", NEXT_PROXY).code == FAILED
        tally = load.stop()
    assert not tally.unanswered and not tally.wrong and tally.answered > 100, tally
    assert baton.in_charge()["id"] == 1


@pytest.mark.parametrize("point", ["inherited", "ready", None])
def test_a_narrower_address_costs_no_datagram(start, address, udp_echoer, point):
    """From the moment it is bound, the kernel gives it what the wildcard's sockets got before."""
    port = address.rpartition(":")[2]
    patience = {"start_timeout": "1s"} if point else {}
    wide = relay_udp(f"0.0.0.0:{port}", udp_echoer.address, workers=2)
    baton = start(wide, env={"BATON_TEST_HOLD": point} if point else None)
    baton.write(relay_udp(address, udp_echoer.address, workers=2, supervisor=patience))
    with AskingClients(address) as load:
        code = baton.ask("reload", "--proxy", NEXT_PROXY).code
        tally = load.stop()
    assert code == (FAILED if point else 0)
    assert not tally.unanswered and not tally.wrong and tally.answered > 100, tally
    assert baton.in_charge()["id"] == (1 if point else 2)
    with udp.connect(address) as client:
        assert udp.ask(client, b"and now") == b"and now"


def test_sockets_that_a_candidate_added_are_served_after_a_rollback(start, address, udp_echoer):
    """Else datagrams would wait in them for ever."""
    baton = start_growing(start, address, udp_echoer, "never", probation="30s")
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_paused(1)
    pid = baton.generations()[2]["pid"]
    with contextlib.ExitStack() as stack:
        # Nobody reads while new is stopped, so that the queues of all its sockets are in use.
        baton.freeze(pid)
        clients = [stack.enter_context(udp.connect(address)) for _ in range(50)]
        for n, client in enumerate(clients):
            client.send(b"%d" % n)
        processes.kill(pid)
        baton.thaw()
        for n, client in enumerate(clients):
            assert client.recv(100) == b"%d" % n
            assert udp.ask(client, b"and more") == b"and more"
    out, err = reload.communicate(timeout=20)
    assert reload.returncode == FAILED and "rolled back" in out + err, (out, err)


def test_the_only_generation_crashes_and_the_next_one_reads_what_came(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, workers=4, supervisor=QUICK))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(udp.connect(address)) for _ in range(20)]
        os.kill(baton.in_charge()["pid"], signal.SIGKILL)
        for client in clients:
            client.send(b"in the queue")
        for client in clients:
            assert client.recv(100) == b"in the queue"


def test_a_port_that_a_stranger_has_is_refused_with_its_name(prepare, address, udp_echoer):
    with UdpUpstream(address=address):
        baton = prepare(relay_udp(address, udp_echoer.address)).launch()
        assert baton.wait_gone() != 0
        assert f"{address} (in use by" in baton.log() and f"pid {os.getpid()}" in baton.log()


def test_alone_without_a_supervisor(prepare, address, udp_echoer):
    baton = prepare(relay_udp(address, udp_echoer.address))
    proxy = subprocess.Popen([BUILD / "proxy" / "proxy", "--config", baton.config_path],
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with udp.connect(address) as client:
            def answered():
                with contextlib.suppress(ConnectionRefusedError):
                    return udp.ask(client, b"alone", 0.1) == b"alone"

            wait_until(answered, 10, "an answer")
        proxy.terminate()
        assert proxy.wait(10) == 0
    finally:
        proxy.kill()
        proxy.wait()


def test_dnsperf_while_binaries_are_swapped(start, address, directory):
    with NameServer({("answer.test", A): ["192.0.2.1"]}) as server:
        baton = start(relay_udp(address, server.address, supervisor=QUICK))
        with DnsPerf(address, directory) as load:
            count = 0
            while load.process.poll() is None:
                baton.reload("--proxy", (NEXT_PROXY, PROXY)[count % 2])
                count += 1
            result = load.finish()
    assert count >= 3
    assert result.lost == 0 and result.completed == result.sent > 1000, result.text


# --- sessions move -----------------------------------------------------------------------------


def test_clients_keep_their_upstream_sockets_through_ten_generations(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, supervisor=QUICK))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(udp.connect(address)) for _ in range(40)]
        for client in clients:
            udp.ask(client, b"before")
        for i in range(10):
            baton.reload("--proxy", (NEXT_PROXY, PROXY)[i % 2])
            for client in clients:
                assert udp.ask(client, b"after %d" % i) == b"after %d" % i
        row = baton.wait_drained(moved_in=40)
        assert row["id"] == 11 and row["connections"] == 40 and row["moved_in"] == 40
        assert len(udp_echoer.clients) == 40, "the upstream has seen another port"
        assert active(baton) == 40 == baton.metric("baton_upstream_connections_active")
        assert baton.metric("baton_connections_moved_total") == 400
        assert baton.metric("baton_listener_connections_total", listener="front") == 40
        assert baton.metric("baton_upstream_connections_total") == 40
        assert baton.metric("baton_udp_datagrams_received_total", listener="front") == 440
        assert dropped(baton) == 0


def test_clients_that_never_pause_keep_their_upstream_sockets(start, address, udp_echoer):
    """Also what they say while the next generation is on probation leaves from the same socket."""
    baton = start(relay_udp(address, udp_echoer.address, supervisor={**QUICK, "probation": "200ms"}))
    with LastingClients(address, 16) as load:
        for i in range(10):
            baton.reload("--proxy", (NEXT_PROXY, PROXY)[i % 2])
        tally = load.stop()
    assert not tally.unanswered and not tally.wrong and tally.answered > 1000, tally
    assert len(udp_echoer.clients) == 16
    assert baton.metric("baton_listener_connections_total", listener="front") == 16


def opened(stack, address, count):
    clients = [stack.enter_context(udp.connect(address)) for _ in range(count)]
    for client in clients:
        assert udp.ask(client, b"before") == b"before"
    return clients


@pytest.mark.parametrize("counts", [(4, 2, 1), (8, 4, 3, 8)])
def test_sessions_find_the_worker_that_their_client_reaches(start, address, udp_echoer, counts):
    """As long as no socket is added the kernel gives a client's datagrams to the same one."""
    def config(workers):
        return relay_udp(address, udp_echoer.address, workers=workers, supervisor=QUICK)

    baton = start(config(counts[0]))
    with contextlib.ExitStack() as stack:
        clients = opened(stack, address, 64)
        for workers in counts[1:]:
            baton.write(config(workers))
            baton.reload()
            for client in clients:
                assert udp.ask(client, b"on") == b"on"
        assert len(udp_echoer.clients) == 64
        assert baton.wait_drained(moved_in=64)["connections"] == 64


def test_more_workers_cost_no_answer(start, address):
    """The kernel spreads clients anew: some get another session, and both can be answered through."""
    with UdpUpstream(lambda _: []) as upstream:
        baton = start(relay_udp(address, upstream.address, workers=1, supervisor=QUICK))
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(udp.connect(address)) for _ in range(16)]
            for client in clients:
                client.send(b"question")
            wait_until(lambda: upstream.datagrams == 16, 10, "the questions are there")
            baton.write(relay_udp(address, upstream.address, workers=4, supervisor=QUICK))
            baton.reload()
            baton.wait_drained()
            upstream.say_to_all(b"a late answer")
            for client in clients:
                assert client.recv(100) == b"a late answer"


def test_added_workers_cost_clients_a_second_place_until_the_first_session_is_idle(start, address,
                                                                                    udp_echoer):
    def config(workers):
        return relay_udp(address, udp_echoer.address, workers=workers, supervisor=QUICK,
                         listener={"idle_timeout": "6s", "max_connections": 128})

    baton = start(config(1))
    with contextlib.ExitStack() as stack:
        clients = opened(stack, address, 64)
        baton.write(config(4))
        baton.reload("--wait-drained")

        def after_asking():
            for client in clients:
                assert udp.ask(client, b"on") == b"on"
            return active(baton)

        assert 64 < after_asking() <= 128
        wait_until(lambda: after_asking() == 64, 20, "the first ones are idle")
        # No socket is ever given up, so the kernel spreads nobody again.
        for workers in (2, 4):
            baton.write(config(workers))
            baton.reload("--wait-drained")
            assert after_asking() == 64
    assert dropped(baton) == 0


def test_what_is_left_of_the_idle_timeout_moves(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, supervisor=QUICK, listener={"idle_timeout": "1s"}))
    with udp.connect(address) as client:
        udp.ask(client, b"last")

        def is_idle():
            baton.reload()
            return active(baton) == 0

        wait_until(is_idle, 10, "it is idle although there are reloads all the time")


def test_sessions_that_end_on_loan_make_room_at_once(start, address, udp_echoer):
    """The generation before has counted them, and is told before the commit."""
    baton = start(relay_udp(address, udp_echoer.address, supervisor={**QUICK, "probation": "12s"},
                            listener={"max_connections": 2, "idle_timeout": "4s"}))
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            assert udp.ask(stack.enter_context(udp.connect(address)), b"in") == b"in"
        reload = baton.ask_in_background("reload")
        assert baton.wait_generation(1, "paused")["connections"] == 2
        wait_until(lambda: active(baton) == 0, 9, "they are idle, and have ended")
        assert baton.generations()[1]["state"] == "paused"
        late = stack.enter_context(udp.connect(address))
        assert udp.ask(late, b"there is room") == b"there is room"
        said, _ = reload.communicate(timeout=20)
        assert "0 connections moved" in said, said
    assert dropped(baton) == 0


def test_sessions_that_have_moved_count_towards_max_connections(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, supervisor=QUICK, listener={"max_connections": 3},
                            cluster={"max_connections": 9}))
    with contextlib.ExitStack() as stack:
        clients = opened(stack, address, 3)
        for _ in range(2):
            baton.reload()
        baton.wait_drained(moved_in=3)
        with udp.connect(address) as late:
            assert udp.ask(late, b"out", 0.2) is None
        for client in clients:
            assert udp.ask(client, b"in") == b"in"
    assert dropped(baton) == dropped(baton, "max_connections") == 1


@pytest.mark.parametrize("change", ["address", "cluster", "switched off", "old release"])
def test_sessions_that_cannot_move_are_answered_where_they_are(start, address, another_address, change):
    with UdpUpstream(lambda _: []) as upstream, UdpUpstream() as other:
        tables = relay_udp(address, upstream.address, supervisor=QUICK)
        baton = start(tables)
        with udp.connect(address) as client:
            client.send(b"question")
            wait_until(lambda: upstream.datagrams == 1, 10, "the question is there")
            arguments = []
            if change == "address":
                tables["listener"][0]["address"] = another_address
            elif change == "cluster":
                tables["listener"][0]["cluster"] = "elsewhere"
                tables["cluster"].append({"name": "elsewhere", "endpoints": [other.address]})
            elif change == "switched off":
                tables["proxy"]["move_connections"] = False
            else:
                arguments = ["--proxy", LISTENERS_ONLY_PROXY]
            baton.write(tables)
            baton.reload(*arguments)
            assert baton.wait_generation(1, "draining")["connections"] == 1
            upstream.say(b"the answer")
            assert client.recv(100) == b"the answer"
            if change == "cluster":
                assert udp.ask(client, b"next") == b"next"
                assert baton.metric("baton_connections_move_rejected_total", reason="no_cluster") == 1
            baton.wait_drained(9)


def test_sessions_of_an_endpoint_that_has_left_its_cluster_move(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, supervisor=QUICK))
    with UdpUpstream() as other, contextlib.ExitStack() as stack:
        client = opened(stack, address, 1)[0]
        baton.write(relay_udp(address, other.address, supervisor=QUICK))
        baton.reload()
        assert baton.wait_drained(moved_in=1)["moved_in"] == 1
        assert udp.ask(client, b"with the old one") == b"with the old one"
        assert udp_echoer.datagrams == 2 and not other.clients


def start_holding(start, address, upstream, point, **options):
    return start(relay_udp(address, upstream.address, workers=1,
                           supervisor={**QUICK, "probation": "10s"}),
                 env={"BATON_TEST_HOLD": point}, **options)


@pytest.mark.parametrize("point", ["prepared", "answered"])
def test_new_dies_with_sessions_on_loan_and_old_goes_on(start, address, point):
    """With the same upstream sockets, and what has waited in them."""
    with UdpUpstream() as upstream:
        baton = start_holding(start, address, upstream, f"{point}:2")
        with contextlib.ExitStack() as stack:
            clients = opened(stack, address, 10)
            reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
            baton.wait_for_log(f"holding at {point}")
            upstream.say_to_all(b"meanwhile")
            for client in clients:
                client.send(b"in the queue")
            processes.kill(baton.generations()[2]["pid"])
            for client in clients:
                assert {client.recv(100), client.recv(100)} == {b"meanwhile", b"in the queue"}
                assert udp.ask(client, b"after") == b"after"
            out, err = reload.communicate(timeout=20)
            assert reload.returncode == FAILED and "rolled back" in out + err, (out, err)
            assert len(upstream.clients) == 10 == active(baton)
            assert baton.metric("baton_listener_connections_total", listener="front") == 10
            baton.reload("--probation", "20ms")
            assert baton.wait_drained(moved_in=10)["moved_in"] == 10


@pytest.mark.parametrize("point", ["offered", "accepted", "committed"])
def test_old_dies_with_sessions_on_loan_and_new_keeps_them(start, address, point):
    with UdpUpstream() as upstream:
        baton = start_holding(start, address, upstream, f"{point}:1", proxy=NEXT_PROXY)
        with contextlib.ExitStack() as stack:
            clients = opened(stack, address, 10)
            reload = baton.ask_in_background("reload", "--proxy", PROXY, "--probation", "500ms")
            baton.wait_for_log(f"holding at {point}")
            upstream.say_to_all(b"meanwhile")
            processes.kill(baton.generations()[1]["pid"])
            for client in clients:
                assert client.recv(100) == b"meanwhile"
                assert udp.ask(client, b"after") == b"after"
            reload.communicate(timeout=20)
            row = baton.wait_drained(moved_in=10)
            assert row["id"] == 2 and row["connections"] == 10 == row["moved_in"]
            assert len(upstream.clients) == 10 == active(baton)


def test_a_rollback_leaves_sessions_where_they_were(start, address, udp_echoer):
    baton = start(relay_udp(address, udp_echoer.address, supervisor={**QUICK, "probation": "1s"}))
    with LastingClients(address, 8) as load:
        wait_until(lambda: load.answered() > 50, 10, "it runs")
        assert baton.ask("reload", "--proxy", CRASHING_PROXY).code == FAILED
        before = load.answered()
        wait_until(lambda: load.answered() > before + 50, 10, "it goes on")
        tally = load.stop()
    # What a process that crashes has read is lost with it.
    assert not tally.wrong and len(tally.unanswered) <= 8, tally
    assert len(udp_echoer.clients) == 8 == active(baton)


def test_a_rollback_after_longer_than_the_idle_timeout_ends_no_session_in_use(start, address, udp_echoer):
    idle_seconds = 4
    baton = start(relay_udp(address, udp_echoer.address, listener={"idle_timeout": f"{idle_seconds}s"}))
    with LastingClients(address, 8) as load:
        wait_until(lambda: load.answered() > 50, 10, "it runs")
        with baton.ask_in_background("reload", "--probation", "40s") as reload:
            wait_until(lambda: baton.in_charge()["id"] == 2, 10, "the second serves")
            served = time.monotonic()
            wait_until(lambda: time.monotonic() > served + 2 * idle_seconds, 20, "it has served long enough")
            baton.do("rollback")
            assert reload.wait(20) == FAILED
        before = load.answered()
        wait_until(lambda: load.answered() > before + 50, 10, "it goes on")
        tally = load.stop()
    assert not tally.wrong and not tally.unanswered, tally
    assert len(udp_echoer.clients) == 8 == active(baton)

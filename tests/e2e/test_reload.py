"""What a reload changes, keeps and removes when everything goes well."""

import contextlib
import os
import shutil
import socket
import threading

import pytest
from harness import processes, sockets
from harness.baton import (CRASHING_PROXY, FAILED, LISTENERS_ONLY_PROXY, NEXT_PROXY, OTHER_LAYOUT_PROXY,
                           PROXY)
from harness.load import ShortClients
from harness.ports import free_port
from harness.tables import also, relay, saying
from harness.waiting import wait_until


def says(address):
    with sockets.connect(address) as client:
        return sockets.read_all(client)


def test_new_connections_go_to_new_and_old_ones_stay(start, address, echoer):
    baton = start(saying(address, "generation %GENERATION%\n"))
    assert says(address) == b"generation 1\n"
    for number in (2, 3):
        baton.reload()
        assert says(address) == f"generation {number}\n".encode()


def test_the_change_is_complete_once_reload_has_returned(start, address):
    """Not one connection made after a reload may still meet the old configuration."""
    baton = start(saying(address, "0\n", supervisor={"probation": "0s"}))
    for i in range(1, 15):
        baton.write(saying(address, f"{i}\n", supervisor={"probation": "0s"}))
        baton.reload()
        assert {says(address) for _ in range(8)} == {f"{i}\n".encode()}


def test_a_listener_can_be_added_removed_and_brought_back(start, address, another_address, liner):
    base = relay(address, liner.address)
    both = also(base, "more", another_address)
    baton = start(base)
    assert not sockets.accepts(another_address)
    for _ in range(2):
        baton.write(both)
        baton.reload("--wait-drained")
        with sockets.connect(another_address) as client:
            client.sendall(b"x\n")
            assert sockets.read_all(client) == b"answer to x\n"
        baton.write(base)
        baton.reload("--wait-drained")
        wait_until(lambda: not sockets.accepts(another_address), 5, "the removed listener is closed")


def test_a_listener_can_come_back_while_its_old_sockets_are_still_being_emptied(
        start, address, another_address, liner, echoer):
    """An old generation that lets go of an address is no stranger on it."""
    base = relay(address, liner.address, supervisor={"probation": "0s", "drain_time": "1h"})
    both = also(base, "more", another_address, echoer.address)
    baton = start(both)
    with sockets.connect(another_address) as held:
        sockets.ask(held, b"keeps the first generation alive")
        for _ in range(5):
            baton.write(base)
            baton.reload()
            baton.write(both)
            baton.reload()
            with sockets.connect(another_address) as client:
                sockets.ask(client, b"back")
        sockets.ask(held, b"still here")


@pytest.mark.parametrize("family", ["tcp", "abstract"])
def test_a_removed_listener_is_emptied_before_it_is_closed(start, address, another_address, liner, family):
    """Clients of a listener that goes away are served or refused, but never cut off.

    However long another one takes that goes with it.
    """
    removed = {"tcp": another_address, "abstract": f"unix:@baton-test-{another_address}"}
    base = relay(address, liner.address)
    baton = start(also(also(base, "more", removed["tcp"]), "most", removed["abstract"]))
    baton.write(base)
    with ShortClients(removed[family], clients=16) as load:
        load.wait_for_more(100)
        baton.reload("--wait-drained")
        wait_until(lambda: load.total.refused(), 10, "the listener is closed")
        tally = load.stop()
    assert all(isinstance(error, ConnectionRefusedError) and stage == "connect"
               for stage, error in tally.failures), [f for f in tally.failures if not
                                                     isinstance(f[1], ConnectionRefusedError)][:5]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_service_managers_socket_takes_clients_whatever_becomes_of_its_listener(
        start, another_address, workers):
    """It is the manager's, too: nothing is done to it that would outlast us."""
    with socket.socket() as manager, contextlib.ExitStack() as waiting:
        manager.bind(("127.0.0.1", 0))
        manager.listen()
        passed = "127.0.0.1:%d" % manager.getsockname()[1]
        baton = start(saying(passed, "%GENERATION%", workers=workers), pass_fds=[manager.fileno()],
                      wrapper=["bash", "-c", f'exec 3<&{manager.fileno()}; LISTEN_PID=$$ exec "$@"', "bash"],
                      env={"LISTEN_FDS": "1"})
        assert says(passed) == b"1"
        baton.write(saying(another_address, "%GENERATION%"))
        baton.reload("--wait-drained")
        # In the manager's own queue, and in those that were added to its address.
        clients = [waiting.enter_context(sockets.connect(passed)) for _ in range(20)]
        baton.write(saying(passed, "%GENERATION%", workers=workers))
        baton.reload("--wait-drained")
        assert {sockets.read_all(client) for client in clients} == {b"3"}
        waiting.close()
        baton.stop()
        with sockets.connect(passed) as late:
            manager.accept()[0].close()
            assert sockets.is_closed_by_peer(late)


@pytest.mark.parametrize("only_ipv6", [False, True])
def test_a_service_managers_socket_that_takes_ipv4_clients_too_is_said(start, only_ipv6):
    """What systemd makes of ListenStream=80."""
    with socket.socket(socket.AF_INET6) as manager:
        manager.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
        manager.bind(("::", 0))
        manager.listen()
        passed = "[::]:%d" % manager.getsockname()[1]
        baton = start(saying(passed, "hello"), pass_fds=[manager.fileno()],
                      wrapper=["bash", "-c", f'exec 3<&{manager.fileno()}; LISTEN_PID=$$ exec "$@"', "bash"],
                      env={"LISTEN_FDS": "1"})
        said = f"{passed} (unknown) takes IPv4 clients, too: set BindIPv6Only=ipv6-only"
        assert baton.log().count(said) == (not only_ipv6), baton.log()


def test_connections_of_a_removed_listener_live_on(start, address, another_address, echoer):
    base = relay(address, echoer.address, supervisor={"drain_time": "1h"})
    baton = start(also(base, "more", another_address))
    with sockets.connect(another_address) as client:
        sockets.ask(client, b"before")
        baton.write(base)
        baton.reload()
        sockets.ask(client, b"after")


def test_a_removed_listeners_metrics_are_no_longer_exported(start, address, another_address, liner):
    base = relay(address, liner.address)
    baton = start(also(base, "more", another_address))
    key = ("baton_listener_connections_total", (("listener", "more"),))
    assert key in baton.metrics()
    baton.write(base)
    baton.reload("--wait-drained")
    wait_until(lambda: key not in baton.metrics(), 5, "the metric is gone")


def test_many_configurations_in_turn_do_not_fill_the_region(start, address, liner):
    """Listeners come and go under new names; whoever is there now is still counted exactly."""
    baton = start(relay(address, liner.address, supervisor={"probation": "0s"}))
    for i in range(25):
        tables = relay(address, liner.address, supervisor={"probation": "0s"})
        for n in range(20):
            tables = also(tables, f"round-{i}-{n}", f"127.0.0.1:{free_port()}")
        baton.write(tables)
        baton.reload("--wait-drained")
    with sockets.connect(tables["listener"][-1]["address"]) as client:
        client.sendall(b"x\n")
        sockets.read_all(client)
    assert baton.metric("baton_listener_connections_total", listener="round-24-19") == 1
    others = {dict(labels).get("listener") for name, labels in baton.metrics()
              if name == "baton_listener_connections_total"}
    assert others == {"front"} | {f"round-24-{n}" for n in range(20)}


def test_an_upstream_can_be_exchanged(start, address, liner, echoer):
    baton = start(relay(address, liner.address))
    baton.write(relay(address, echoer.address))
    baton.reload()
    with sockets.connect(address) as client:
        sockets.ask(client, b"now it echoes")


@pytest.mark.parametrize("path_family", ["v4", "v6", "v6 with a zone that it does not need", "unix"])
def test_every_kind_of_listening_socket_is_handed_over(start, directory, liner, path_family):
    address = {"v4": f"127.0.0.1:{free_port()}", "v6": f"[::1]:{free_port()}", "unix": f"unix:{directory}/s",
               }.get(path_family, f"[::1%lo]:{free_port()}")
    baton = start(relay(address, liner.address, supervisor={"probation": "20ms"}))
    with ShortClients(address.replace("%lo", "")) as load:
        for i in range(8):
            baton.write(relay(address, liner.address, workers=1 + i % 3, supervisor={"probation": "20ms"}))
            baton.reload()
            load.wait_for_more(10)
        tally = load.stop()
    assert not tally.failures, tally


def test_addresses_that_look_alike_are_not_confused(start, liner, echoer, directory):
    """v4 and v6 of one port, and a wildcard next to nothing: each keeps its own upstream."""
    port = free_port()
    tables = relay(f"127.0.0.1:{port}", liner.address)
    tables = also(tables, "six", f"[::1]:{port}", echoer.address)
    baton = start(tables)
    for _ in range(3):
        with sockets.connect(f"127.0.0.1:{port}") as four, sockets.connect(f"[::1]:{port}") as six:
            four.sendall(b"four\n")
            assert sockets.read_all(four) == b"answer to four\n"
            sockets.ask(six, b"six\n")
        baton.reload()


def test_a_wildcard_address_serves_across_reloads(start, liner):
    port = free_port()
    baton = start(relay(f"0.0.0.0:{port}", liner.address))
    with ShortClients(f"127.0.0.1:{port}") as load:
        for _ in range(5):
            baton.reload()
            load.wait_for_more(10)
        assert not load.stop().failures


def test_rollback_brings_back_the_exact_binary_and_configuration(start, address, directory):
    """Even when both files have been replaced since."""
    binary = directory / "proxy"
    shutil.copy(PROXY, binary)
    baton = start(saying(address, "one\n"), proxy=binary)
    one = baton.in_charge()
    binary.unlink()
    shutil.copy(NEXT_PROXY, binary)
    baton.write(saying(address, "two\n"))
    baton.reload()
    two = baton.in_charge()
    assert two["version"] != one["version"] and says(address) == b"two\n"
    binary.unlink()
    baton.config_path.unlink()
    baton.do("rollback")
    back = baton.in_charge()
    assert back["id"] == 3 and back["version"] == one["version"] and says(address) == b"one\n"
    baton.do("rollback")
    assert baton.in_charge()["version"] == two["version"] and says(address) == b"two\n"


def test_a_reload_is_from_the_files_as_they_are_when_it_is_asked_for(start, address):
    baton = start(saying(address, "one\n"))
    baton.write(saying(address, "two\n"))
    assert says(address) == b"one\n"
    baton.reload()
    baton.config_path.write_text("broken [")
    assert says(address) == b"two\n"
    assert baton.ask("reload").code == FAILED
    assert says(address) == b"two\n"


@pytest.mark.parametrize("variant", [NEXT_PROXY, OTHER_LAYOUT_PROXY, LISTENERS_ONLY_PROXY],
                         ids=lambda path: path.name)
def test_binaries_of_other_releases_hand_over_under_load(start, address, liner, variant):
    baton = start(relay(address, liner.address))
    with ShortClients(address) as load:
        for proxy in (variant, PROXY, variant, variant, PROXY):
            baton.reload("--proxy", proxy)
            load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    wait_until(lambda: baton.metric("baton_listener_connections_total") == tally.completed, 10,
               lambda: (baton.metric("baton_listener_connections_total"), tally.completed))
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 5, "gauges are zero")


def test_a_listener_filter_chain_changes_with_the_configuration(start, address, echoer):
    """From relaying to answering by itself: connections made before keep what they had."""
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"echo")
        baton.write(saying(address, "now I speak\n"))
        baton.reload()
        assert says(address) == b"now I speak\n"
        sockets.ask(client, b"still an echo")


def test_many_listeners_are_handed_over_at_once(start, liner):
    """More sockets than one message can carry."""
    workers, count = 4, 100
    ports = [free_port() for _ in range(count)]
    tables = relay(f"127.0.0.1:{ports[0]}", liner.address, workers=workers)
    for port in ports[1:]:
        tables = also(tables, f"l{port}", f"127.0.0.1:{port}")
    baton = start(tables)
    baton.reload("--wait-drained")
    for port in ports:
        with sockets.connect(f"127.0.0.1:{port}") as client:
            client.sendall(b"x\n")
            assert sockets.read_all(client) == b"answer to x\n"


def test_connections_in_the_queue_are_kept_when_workers_shrink_and_grow(start, address, liner):
    """Each listening socket's queue has connections in it at the moment of the reload."""
    for before, after in ((8, 1), (1, 8), (3, 2)):
        baton = start(relay(address, liner.address, workers=before))
        stop = threading.Event()
        failures = []

        def burst():
            while not stop.is_set():
                clients = []
                try:
                    for _ in range(40):  # all at once: they meet every queue
                        clients.append(sockets.connect(address))
                    for client in clients:
                        client.sendall(b"x\n")
                    for client in clients:
                        assert sockets.read_all(client) == b"answer to x\n"
                except (OSError, AssertionError) as error:
                    failures.append(error)
                finally:
                    for client in clients:
                        client.close()

        bursting = threading.Thread(target=burst)
        bursting.start()
        try:
            for workers in (after, before, after):
                baton.write(relay(address, liner.address, workers=workers))
                baton.reload()
        finally:
            stop.set()
            bursting.join()
        assert not failures, failures
        baton.stop()


def test_a_unix_listeners_file_is_the_same_across_reloads_and_gone_when_removed(
        start, directory, address, liner):
    path = directory / "front.sock"
    base = relay(address, liner.address)
    baton = start(also(base, "unix", f"unix:{path}"))
    inode = path.stat().st_ino
    baton.reload("--wait-drained")
    assert path.stat().st_ino == inode
    baton.write(base)
    baton.reload("--wait-drained")
    wait_until(lambda: not path.exists(), 5, "the socket file is removed")


def test_a_stale_unix_socket_file_is_replaced(start, directory, liner):
    path = directory / "stale.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert os.path.exists(path)
    start(relay(f"unix:{path}", liner.address))
    with sockets.connect(f"unix:{path}") as client:
        client.sendall(b"x\n")
        assert sockets.read_all(client) == b"answer to x\n"


def on_path(directory):
    """A path, its address, and how a client's line is answered there."""
    path = directory / "front.sock"

    def answer():
        with sockets.connect(f"unix:{path}") as client:
            client.sendall(b"x\n")
            return sockets.read_all(client)

    return path, f"unix:{path}", answer


def open_files(baton):
    return [len(processes.fds(pid)) for pid in (baton.pid, baton.in_charge()["pid"])]


def test_a_unix_listeners_file_that_somebody_has_removed_is_there_again_after_a_reload(
        start, directory, liner):
    path, front, answer = on_path(directory)
    baton = start(relay(front, liner.address, supervisor={"drain_time": "500ms"}))
    processes.suspend(baton.in_charge()["pid"])
    with sockets.connect(front) as waiting:
        path.unlink()
        baton.reload()
        waiting.sendall(b"waited\n")
        assert sockets.read_all(waiting) == b"answer to waited\n"
    assert answer() == b"answer to x\n"
    baton.wait_drained()
    baton.reload("--wait-drained")
    assert answer() == b"answer to x\n"
    open_then = open_files(baton)
    for _ in range(5):
        path.unlink()
        baton.reload("--wait-drained")
        assert answer() == b"answer to x\n"
    baton.reload("--wait-drained")
    assert answer() == b"answer to x\n"
    # A command's connection may have been there a moment longer.
    wait_until(lambda: all(now <= then for now, then in zip(open_files(baton), open_then)), 5, "as many as then")
    baton.stop()
    assert not path.exists()


def test_a_unix_listeners_file_is_known_by_the_supervisors_that_follow(start, directory, liner):
    path, front, answer = on_path(directory)
    baton = start(relay(front, liner.address))
    baton.do("upgrade")
    baton.kill_supervisor()
    baton.start_again()
    path.unlink()
    baton.reload()
    assert answer() == b"answer to x\n"
    baton.kill_supervisor()
    baton.start_again()
    for _ in range(2):
        baton.reload("--wait-drained")
        assert answer() == b"answer to x\n"


def test_a_strangers_socket_at_a_unix_listeners_path_is_refused_and_left_alone(
        start, directory, address, liner):
    path, front, answer = on_path(directory)
    baton = start(relay(front, liner.address))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()
        refused = baton.ask("reload")
        assert refused.code == FAILED, refused
        assert f"{front} (in use by " in refused.err and f"pid {os.getpid()}" in refused.err, refused
        assert baton.wait_drained()["id"] == 1
        baton.write(relay(address, liner.address))
        baton.reload("--wait-drained")
        assert sockets.accepts(front)
    # What the stranger has left behind is in nobody's use.
    baton.write(relay(front, liner.address))
    baton.reload()
    assert answer() == b"answer to x\n"
    path.unlink()
    path.write_text("precious")
    refused = baton.ask("reload")
    assert refused.code == FAILED and f"is not a socket: {path}" in refused.err, refused
    baton.stop()
    assert path.read_text() == "precious"


def test_a_unix_listeners_new_file_is_served_by_old_when_new_is_rolled_back(start, directory, liner):
    path, front, answer = on_path(directory)
    baton = start(relay(front, liner.address, supervisor={"probation": "20s"}))
    for _ in range(3):
        path.unlink()
        assert baton.ask("reload", "--proxy", CRASHING_PROXY).code == FAILED
        assert baton.wait_drained()["id"] == 1
        assert answer() == b"answer to x\n"
    for _ in range(2):
        baton.reload("--wait-drained", "--proxy", PROXY, "--probation", "50ms")
        assert answer() == b"answer to x\n"


def test_a_crash_is_answered_even_if_a_stranger_has_a_unix_listeners_path(
        start, directory, address, liner):
    path, front, _ = on_path(directory)
    baton = start(also(relay(address, liner.address), "unix", front))
    path.unlink()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()
        processes.kill(baton.in_charge()["pid"])
        with sockets.connect(address) as client:
            client.sendall(b"x\n")
            assert sockets.read_all(client) == b"answer to x\n"

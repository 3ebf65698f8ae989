"""A rollback that ends a reload in its probation: what new has accepted lives on in old."""

import os
import signal
import subprocess
import threading
from dataclasses import dataclass

import pytest
from harness import http, processes, sockets
from harness.baton import DONE, FAILED, LISTENERS_ONLY_PROXY, Baton
from harness.http import HttpServer
from harness.kinds import HTTP, Kept, Talk, Tunnel, Upgraded, serve
from harness.load import ShortClients, Wrk
from harness.ports import free_port
from harness.tables import also, relay, saying
from harness.upstreams import Upstream, echo
from harness.waiting import wait_until

LONG = {"probation": "1h", "drain_time": "1h"}
KINDS = [Tunnel, Kept, Upgraded]
EACH = 5


@pytest.fixture
def both(start, address, another_address):
    """A TCP and an HTTP listener under a reload in its probation, the command that waits for it, and a
    connection that old has held since before."""
    reloads = []
    with Upstream(echo) as echoer, Upstream(serve) as web:

        def begin(*flags):
            tables = relay(address, echoer.address, workers=2, supervisor=LONG)
            baton = start(also(tables, "web", another_address, web.address, **HTTP))
            of_old = Tunnel(address)
            of_old.use()
            reloads.append(baton.ask_in_background("reload", *flags))
            baton.wait_paused(1)
            return baton, reloads[0], of_old

        yield begin
        for reload in reloads:
            reload.communicate(timeout=20)


def one_of_each_kind(address, another_address):
    return [kind(address if kind is Tunnel else another_address) for kind in KINDS for _ in range(EACH)]


def wait_until_rolling_back(baton):
    """And the supervisor has written that down: it does so before it reads the next command."""
    baton.wait_phase("roll back")
    baton.status()


def close_all(clients):
    for client in clients:
        client.close()


def assert_rolled_back(baton, reload, to=1):
    _, err = reload.communicate(timeout=20)
    assert reload.returncode == FAILED and "rolled back by request" in str(err), err
    last = baton.status()["last_reload"]
    assert not last["ok"] and "rolled back by request" in last["reason"], last
    assert baton.in_charge()["id"] == to


def test_every_kind_of_connection_that_new_has_accepted_goes_on_in_old(both, address, another_address):
    baton, reload, of_old = both()
    of_old.close()
    clients = one_of_each_kind(address, another_address)
    with Talk(clients) as talk:
        talk.goes_on()
        answer = baton.ask("rollback")
        assert answer.code == DONE and "generation 1 is in charge" in answer.out, answer
        assert baton.wait_drained(moved_in=len(clients))["id"] == 1
        wait_until(lambda: baton.in_charge()["connections"] == len(clients), 5, baton.in_charge)
        talk.goes_on()
        # What has come back leaves again with the next reload.
        baton.reload("--probation", "20ms")
        assert baton.wait_drained(moved_in=len(clients))["id"] == 3
        talk.goes_on()
    assert baton.metric("baton_reloads_total", result="rolled_back") == 1
    assert baton.metric("baton_reloads_total", result="ok") == 1
    reload.communicate(timeout=20)
    assert reload.returncode == FAILED
    close_all(clients)
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "all have gone")
    assert baton.metric("baton_listener_connections_total") == len(clients) + 1
    assert baton.metric("baton_listener_connections_cut_total") == 0


def test_a_request_in_progress_is_answered_by_new(start, address):
    arrived, may_answer = threading.Event(), threading.Event()

    def respond(request):
        arrived.set()
        assert may_answer.wait(20)
        return http.answer(200, b"late")

    with HttpServer(respond) as upstream:
        baton = start(relay(address, upstream.address, listener={"protocol": "http"}, supervisor=LONG))
        reload = baton.ask_in_background("reload")
        baton.wait_paused(1)
        with http.Client(address) as client:
            client.send(http.request_bytes())
            assert arrived.wait(10)
            baton.do("rollback")
            baton.wait_generation(2, "draining")
            may_answer.set()
            assert client.reader.response().body == b"late"
            assert baton.wait_drained(moved_in=1)["id"] == 1
            assert client.ask().body == b"late"
        assert_rolled_back(baton, reload)


def test_nobody_notices_rollbacks_one_after_the_other(start, address, liner):
    baton = start(relay(address, liner.address, workers=2, supervisor=LONG))
    with ShortClients(address) as load:
        for number in range(2, 12):
            reload = baton.ask_in_background("reload")
            baton.wait_generation(number, "serving")
            if number % 2 == 0:
                load.wait_for_more(20)
            baton.do("rollback")
            assert_rolled_back(baton, reload)
            load.wait_for_more(20)
        assert baton.wait_drained()["id"] == 1
        tally = load.stop()
    assert not tally.failures, tally
    assert len(processes.children(baton.pid)) == 1


def test_once_it_has_returned_only_old_accepts(start, address):
    baton = start(saying(address, "%GENERATION%", workers=4, supervisor=LONG))

    def says():
        with sockets.connect(address) as client:
            return sockets.read_all(client)

    for number in range(2, 7):
        reload = baton.ask_in_background("reload")
        baton.wait_generation(number, "serving")
        baton.do("rollback")
        assert {says() for _ in range(40)} == {b"1"}
        assert_rolled_back(baton, reload)


def test_wrk_notices_no_rollback(start, address):
    with HttpServer() as upstream:
        baton = start(relay(address, upstream.address, listener={"protocol": "http"}, workers=2,
                            supervisor=LONG))
        with Wrk(address) as load:
            for number in range(2, 8):
                reload = baton.ask_in_background("reload")
                baton.wait_generation(number, "serving")
                baton.do("rollback")
                assert_rolled_back(baton, reload)
                baton.wait_drained()
            result = load.finish()
    assert result.requests > 0 and not result.failed(), result.text


def test_what_only_the_new_configuration_has_drains_in_new(start, address, echoer):
    tables = relay(address, echoer.address, supervisor=LONG)
    baton = start(tables)
    added = f"127.0.0.1:{free_port()}"
    other = baton.write(also(tables, "added", added, echoer.address), "other.toml")
    reload = baton.ask_in_background("reload", "--config", other)
    baton.wait_paused(1)
    with sockets.connect(added) as of_new, sockets.connect(address) as of_both:
        sockets.ask(of_new, b"new")
        sockets.ask(of_both, b"both")
        baton.do("rollback")
        assert_rolled_back(baton, reload)
        wait_until(lambda: baton.in_charge()["moved_in"] == 1, 10, "what old can take has moved")
        wait_until(lambda: not sockets.accepts(added), 10, "nobody accepts there")
        sockets.ask(of_new, b"new still")
        sockets.ask(of_both, b"both still")
        assert baton.generations()[2]["state"] == "draining"
        # Whoever has asked whether it is accepted has gone by then.
        wait_until(lambda: baton.generations()[2]["connections"] == 1, 10, "only that one is left")
    assert baton.wait_drained()["id"] == 1


@pytest.mark.parametrize("supervisor", ["lives", "dies"])
def test_what_new_had_added_can_be_added_again(start, address, echoer, supervisor):
    baton = start(relay(address, echoer.address, supervisor=LONG))
    added = f"127.0.0.1:{free_port()}"
    other = baton.write(also(relay(address, echoer.address, supervisor=LONG), "added", added, echoer.address),
                        "other.toml")
    reload = baton.ask_in_background("reload", "--config", other)
    old = baton.wait_paused(1)["pid"]
    if supervisor == "dies":
        processes.suspend(old)
        rollback = baton.ask_in_background("rollback")
        wait_until_rolling_back(baton)
        baton.kill_supervisor()
        os.kill(old, signal.SIGCONT)
        rollback.communicate(timeout=20)
        reload.communicate(timeout=20)
        baton.start_again()
    else:
        baton.do("rollback")
        assert_rolled_back(baton, reload)
    assert baton.wait_drained()["id"] == 1
    wait_until(lambda: not sockets.accepts(added), 10, "nobody accepts there")
    baton.reload("--config", other, "--probation", "20ms")
    with sockets.connect(added) as client:
        sockets.ask(client, b"served again")


@pytest.mark.parametrize("strategy", ["gradual", "immediate"])
def test_what_can_move_moves_however_short_the_drain_is(both, address, another_address, strategy):
    baton, reload, of_old = both("--drain-time", "0s", "--drain-strategy", strategy)
    clients = one_of_each_kind(address, another_address)
    for client in clients:
        client.use()
    with Talk(clients) as talk:
        talk.goes_on()
        baton.do("rollback")
        assert baton.wait_drained(moved_in=len(clients))["id"] == 1
        talk.goes_on()
    assert_rolled_back(baton, reload)
    close_all([*clients, of_old])
    assert baton.metric("baton_listener_connections_cut_total") == 0


def test_an_old_generation_that_cannot_take_them_lets_them_drain(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor=LONG), proxy=LISTENERS_ONLY_PROXY)
    reload = baton.ask_in_background("reload")
    baton.wait_paused(1)
    with sockets.connect(address) as client:
        sockets.ask(client, b"before")
        baton.do("rollback")
        assert_rolled_back(baton, reload)
        sockets.ask(client, b"after")
        assert baton.generations()[2]["state"] == "draining"
    assert baton.wait_drained()["id"] == 1


# --- whoever dies meanwhile ------------------------------------------------------------------------


@dataclass
class Halted:
    baton: Baton
    old: int  # process ids
    new: int
    of_old: Tunnel  # has been old's all the time
    clients: list  # new's
    reload: subprocess.Popen
    rollback: subprocess.Popen


@pytest.fixture
def halted(both, address, another_address):
    """In the middle of it: old has been asked to accept again and does not answer."""
    baton, reload, of_old = both()
    clients = one_of_each_kind(address, another_address)
    for client in clients:
        client.use()
    old, new = (baton.generations()[number]["pid"] for number in (1, 2))
    processes.suspend(old)
    rollback = baton.ask_in_background("rollback")
    wait_until_rolling_back(baton)
    yield Halted(baton, old, new, of_old, clients, reload, rollback)
    processes.kill(old, signal.SIGCONT)
    for waiting in (reload, rollback):
        waiting.communicate(timeout=20)
    close_all([*clients, of_old])


def test_new_serves_until_old_does(halted, address):
    baton, clients = halted.baton, halted.clients
    for client in clients:
        client.use()
    with sockets.connect(address) as late:
        sockets.ask(late, b"accepted by new")
        os.kill(halted.old, signal.SIGCONT)
        assert baton.wait_drained(moved_in=len(clients) + 1)["id"] == 1
        sockets.ask(late, b"carried by old")
    halted.of_old.use()
    for client in clients:
        client.use()
    assert halted.rollback.wait(20) == DONE
    assert_rolled_back(baton, halted.reload)


def test_new_dies_before_old_accepts_again(halted, address):
    baton = halted.baton
    processes.kill(halted.new)
    baton.wait_generation(2, "gone")
    with sockets.connect(address) as waiting:
        os.kill(halted.old, signal.SIGCONT)
        sockets.ask(waiting, b"has waited in the queue")
    halted.of_old.use()
    assert halted.rollback.wait(20) == DONE
    assert_rolled_back(baton, halted.reload)


def test_old_dies_before_it_accepts_again(halted, address):
    """New serves on, as the only one that can; and whoever has asked for the other one is told."""
    baton, clients = halted.baton, halted.clients
    processes.kill(halted.old)
    out, err = halted.rollback.communicate(timeout=20)
    assert halted.rollback.returncode == FAILED and "generation 2 goes on" in str(err), (out, err)
    halted.reload.communicate(timeout=20)
    assert halted.reload.returncode == FAILED
    assert baton.wait_drained()["id"] == 2
    for client in clients:
        client.use()
    with sockets.connect(address) as client:
        sockets.ask(client, b"served")
    baton.reload("--probation", "20ms")
    assert baton.wait_drained(moved_in=len(clients))["id"] == 3
    for client in clients:
        client.use()


def test_old_does_not_answer(halted, address):
    """It is slow, and new serves: nothing is killed. What it has moves to new once it can."""
    baton, clients = halted.baton, halted.clients
    out, err = halted.rollback.communicate(timeout=20)
    reason, outcome = err.splitlines()
    assert halted.rollback.returncode == FAILED and "does not answer" in reason, (out, err)
    assert outcome == "supervisor: the rollback has failed: generation 2 goes on", err
    assert baton.in_charge()["id"] == 2
    os.kill(halted.old, signal.SIGCONT)
    assert baton.wait_drained(moved_in=1)["id"] == 2
    for client in [*clients, halted.of_old]:
        client.use()


def test_new_that_hangs_does_not_keep_its_clients(halted, address):
    baton, clients = halted.baton, halted.clients
    processes.suspend(halted.new)
    os.kill(halted.old, signal.SIGCONT)
    assert halted.rollback.wait(20) == DONE
    baton.wait_generation(2, "gone")
    assert not any(client.is_alive() for client in clients)
    with sockets.connect(address) as client:
        sockets.ask(client, b"served by old")
    halted.of_old.use()
    assert_rolled_back(baton, halted.reload)


def test_the_supervisor_dies_before_old_accepts_again(halted, address):
    """The next one goes on with it."""
    baton, clients = halted.baton, halted.clients
    baton.kill_supervisor()
    os.kill(halted.old, signal.SIGCONT)
    baton.start_again()
    assert baton.wait_drained(moved_in=len(clients))["id"] == 1
    for client in [*clients, halted.of_old]:
        client.use()
    with sockets.connect(address) as client:
        sockets.ask(client, b"served")


def test_a_stop_in_the_middle_of_it_drains_both(halted, address):
    baton, clients = halted.baton, halted.clients
    stop = baton.ask_in_background("stop", "--drain-time", "200ms")
    wait_until(lambda: halted.rollback.poll() is not None, 10, "the rollback is answered")
    os.kill(halted.old, signal.SIGCONT)
    assert stop.wait(20) == DONE and halted.rollback.returncode == FAILED
    assert baton.wait_gone() == 0
    assert not any(client.is_alive() for client in clients)
    baton.check_nothing_is_left()

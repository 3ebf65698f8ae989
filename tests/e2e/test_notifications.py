"""What a service manager is told, over a NOTIFY_SOCKET of the test's own."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from harness import processes, sockets, tables
from harness.baton import FAILED
from harness.service_manager import Listener
from harness.waiting import wait_until


@pytest.fixture
def manager(directory):
    with Listener(directory / "notify") as listener:
        yield listener


@pytest.fixture
def notifying(start, manager, address):
    def make(**env):
        baton = start(tables.saying(address, "hello"), env={"NOTIFY_SOCKET": str(manager.path), **env})
        # A little after a generation serves: what is stored is told first, as fast as it is read.
        manager.wait_for(READY="1")
        return baton

    return make


def test_it_is_ready_once_a_generation_serves(notifying, manager):
    notifying()
    ready = manager.wait_for(READY="1")
    assert len(ready) == 1
    assert ready[0]["STATUS"] == "generation 1 in charge, 0 connections"


def test_everything_is_stored_before_it_is_ready(notifying, manager):
    """Killed the moment it is ready, nothing of it is lost."""
    notifying()
    ready = manager.wait_for(READY="1")[0]
    before = manager.messages[:manager.messages.index(ready)]
    stored = {message["FDNAME"] for message in before if "FDSTORE" in message}
    assert {"baton-state", "baton-region"} <= stored, stored
    binary, config, one_a_worker = 1, 1, 2
    assert len([name for name in stored if name.startswith("baton-fd-")]) == binary + config + one_a_worker


def test_with_its_state_in_the_store_alone_it_says_who_can_go_on(prepare, manager, address):
    baton = prepare(tables.saying(address, "hello"), env={"NOTIFY_SOCKET": str(manager.path)})
    (baton.directory / "control.sock.state.new" / "in the way").mkdir(parents=True)
    baton.start()
    manager.wait_for(READY="1")
    baton.reload()
    assert baton.log().count("can go on only if the service manager starts it") == 1
    assert "cannot go on" not in baton.log()


def test_a_start_that_fails_is_never_ready(prepare, manager):
    broken = prepare("nonsense", env={"NOTIFY_SOCKET": str(manager.path)}).launch()
    assert broken.wait_gone() == 2
    assert not manager.find(READY="1")


def test_one_that_waits_for_generations_says_so(notifying, manager):
    """And that its start may take longer for it."""
    baton = notifying()
    generation = baton.in_charge()["pid"]
    processes.suspend(generation)
    baton.kill_supervisor()
    baton.launch()
    status = "waiting for 1 generations of the supervisor before to come back"
    told = manager.wait_for(STATUS=status)
    assert len(told) == 1 and int(told[0]["EXTEND_TIMEOUT_USEC"]) >= 10e6
    os.kill(generation, signal.SIGCONT)
    manager.wait_for(count=2, READY="1")


def test_each_reload_is_told_from_beginning_to_end(notifying, manager):
    baton = notifying()
    before = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
    baton.reload("--probation", "0")
    reloading = manager.wait_for(RELOADING="1")
    assert before <= int(reloading[0]["MONOTONIC_USEC"]) <= time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6
    ready = manager.wait_for(count=2, READY="1")
    assert manager.messages.index(reloading[0]) < manager.messages.index(ready[1])
    assert ready[1]["STATUS"].startswith("generation 2 in charge, 0 connections")


def test_a_reload_that_fails_ends_too(notifying, manager):
    baton = notifying()
    baton.write("nonsense")
    assert baton.ask("reload").code == FAILED
    manager.wait_for(RELOADING="1")
    ready = manager.wait_for(count=2, READY="1")
    assert ready[1]["STATUS"] == "generation 1 in charge, 0 connections"


def test_stopping_is_told_and_the_drain_gets_its_time(notifying, manager):
    notifying().stop("--now")
    assert int(manager.wait_for(STOPPING="1")[0]["EXTEND_TIMEOUT_USEC"]) >= 10_000_000


def test_the_watchdog_is_told_that_the_loop_turns(notifying, manager):
    notifying(WATCHDOG_USEC="200000")
    manager.wait_for(count=5, seconds=5, WATCHDOG="1")


def test_a_stop_ends_the_watchdog_and_asks_for_time_instead(start, manager, address, echoer):
    baton = start(tables.staying(address, echoer.address, supervisor={"drain_time": "1h"}),
                  env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"})
    with sockets.connect(address) as client:
        sockets.ask(client, b"held")
        baton.process.send_signal(signal.SIGTERM)
        assert manager.wait_for(STOPPING="1")[0].get("WATCHDOG_USEC") == "0"
        manager.messages.clear()
        manager.wait_for(count=5, EXTEND_TIMEOUT_USEC=True)
        assert not manager.find(WATCHDOG=True)
    assert baton.wait_gone() == 0


def test_its_generations_do_not_know_of_it(notifying, manager):
    baton = notifying(WATCHDOG_USEC="200000", LISTEN_PID="1", LISTEN_FDS="0")
    baton.do("upgrade")
    baton.reload()
    words = Path(f"/proc/{baton.in_charge()['pid']}/environ").read_bytes().split(b"\0")
    names = {word.split(b"=")[0].decode() for word in words}
    assert not {n for n in names if n.startswith(("NOTIFY_", "WATCHDOG_", "LISTEN_"))}, names
    # The supervisor does, also behind an upgrade.
    manager.collect().clear()
    manager.wait_for(count=2, WATCHDOG="1")


def test_the_watchdog_of_another_process_is_not_ours(notifying, manager):
    baton = notifying(WATCHDOG_USEC="20000", WATCHDOG_PID="1")
    baton.reload("--probation", "300ms")
    assert not manager.find(WATCHDOG=True)


def test_a_start_and_a_reload_may_take_longer_than_the_unit_allows(notifying, manager):
    # With a watchdog it speaks often, so that this need not wait.
    baton = notifying(WATCHDOG_USEC="200000")
    manager.collect().clear()
    with baton.ask_in_background("reload", "--probation", "10s") as reload:
        said = manager.wait_for(EXTEND_TIMEOUT_USEC=True)[0]
        assert int(said["EXTEND_TIMEOUT_USEC"]) >= 10_000_000
        baton.do("rollback")
        assert reload.wait(20) == FAILED


def test_the_status_line_follows_a_drain_at_once(start, manager, address, echoer):
    def status(pattern):
        # Sooner than the regular times, which are 10 s apart.
        wait_until(lambda: re.fullmatch(pattern, manager.find(STATUS=True)[-1]["STATUS"]), 5,
                   lambda: f"{pattern}: {manager.messages}")

    baton = start(tables.staying(address, echoer.address, supervisor={"drain_time": "2h"}),
                  env={"NOTIFY_SOCKET": str(manager.path)})
    with sockets.connect(address) as client:
        sockets.ask(client, b"held")
        baton.reload()
        status("generation 2 .*; 1 draining, 1 connection, cut in (2h|71..s)")
        baton.do("drain", "--drain-time", "30m")
        status("generation 2 .*; 1 draining, 1 connection, cut in (30m|17..s)")
    baton.wait_drained()
    status("generation 2 in charge, 0 connections")


@pytest.mark.parametrize("socket", ["/nonexistent/socket", "nonsense", "/" + "x" * 200])
def test_a_manager_that_cannot_be_told_is_reported_once(start, address, socket):
    baton = start(tables.saying(address, "hello"), env={"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "20000"})
    baton.reload("--probation", "100ms")
    assert baton.log().count("the service manager cannot be told") == 1
    # What could not be sent was not refused.
    assert "does not keep all descriptors" not in baton.log()

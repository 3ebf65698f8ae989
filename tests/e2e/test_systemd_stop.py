"""baton.service is stopped, at whatever moment: nothing is left. Or fails: its generation serves on."""

from pathlib import Path

import pytest
from harness import http, tables, toml
from harness.systemd import PATIENCE, why_not
from test_systemd import (  # noqa: F401 (fixtures)
    QUICK, UNIT, installed_config, running, service, systemd)
from test_systemd_store import kill_supervisor

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

MOMENTS = (0, 0.01, 0.02, 0.04, 0.08, 0.1, 0.105, 0.11, 0.115, 0.12, 0.13, 0.15, 0.2, 0.25)
PATIENT = "[Service]\nTimeoutStopSec=2\nWatchdogSec=0\n"
STOP_AFTER_KILL = """
killed=$(systemctl show -P MainPID baton); echo $killed; kill -9 $killed; sleep {moment}
systemctl show -P MainPID baton; systemctl stop baton
cat /sys/fs/cgroup/system.slice/baton.service/cgroup.procs 2>/dev/null
true
"""
STOP_AND_START = "systemctl stop --no-block baton; sleep {moment}; systemctl start baton"
# A restart that waits for its time, be it none, is left for the stop first: while it waits, systemd 252 drops it
# for a pending stop, and the stop when a start comes right behind it; that start then waits for the restart, for
# good (service_enter_restart() and service_start() in its service.c).
KILL_STOP_AND_START = """
kill -9 $(systemctl show -P MainPID baton); systemctl stop --no-block baton; sleep {moment}
while [ "$(systemctl show -P SubState baton)" = auto-restart ]; do :; done
systemctl start baton
"""


def wait_no_process_is_left(service):
    service.wait_until(lambda: service.processes() == [], "no process is left")


def wait_nothing_is_left(service):
    """What is behind a stop takes a moment more."""
    wait_no_process_is_left(service)
    service.wait_until(lambda: service.systemd.run("test", "-e", "/run/baton").code == 1,
                       "no runtime directory is left")


def wait_no_jobs(service):
    service.wait_until(lambda: "No jobs" in service.systemd.do("systemctl", "list-jobs"), "no jobs")


def crash_until_failed(service):
    service.drop_in(QUICK + "[Unit]\nStartLimitBurst=2\n")
    service.start()
    kill_supervisor(service)
    service.wait_until(lambda: service.show("ActiveState") == "active", "it is back")
    service.signal(service.pid(), "KILL")
    service.wait_until(lambda: service.show("ActiveState") == "failed", "the start limit is reached")


def test_a_stop_soon_after_the_supervisor_was_killed_leaves_nothing(service):  # noqa: F811
    service.drop_in(QUICK + "[Unit]\nStartLimitIntervalSec=0\n")
    for moment in MOMENTS:
        service.start()
        done = service.systemd.do("sh", "-c", STOP_AFTER_KILL.format(moment=moment))
        killed, known, *left = done.splitlines()
        # A death that systemd hears of while the stop waits is that stop's end, though the sweep is still to end.
        assert left == [] or known == killed, f"{moment} s after the kill: {done}\n{service.log()}"
        assert service.show("ActiveState") in ("inactive", "failed")
        wait_nothing_is_left(service)


def test_a_start_while_a_stop_still_sweeps_comes_after_it(service):  # noqa: F811
    service.drop_in(QUICK + "RestartSec=0\n[Unit]\nStartLimitIntervalSec=0\n")
    for script in (STOP_AND_START, KILL_STOP_AND_START):
        for moment in MOMENTS[::2]:
            service.start()
            service.systemd.do("sh", "-c", script.format(moment=moment))
            assert service.show("ActiveState") == "active", f"{moment} s\n{service.log()}"
            # Nothing is under way any more that could end it.
            wait_no_jobs(service)
            assert service.ask("status").code == 0, f"{moment} s\n{service.log()}"
            assert service.answer().startswith("generation ")
            assert len(service.processes()) == 2 and service.pid() in service.processes()


def test_a_stop_that_sweeps_leaves_a_supervisor_alone_that_somebody_runs_by_hand(service):  # noqa: F811
    by_hand = "by-hand.service"
    service.systemd.do("mkdir", "-p", "/run/baton")
    service.systemd.do("systemd-run", "--unit", by_hand, service.command, "run",
                       "--control", "/run/baton/control.sock", "--config", service.config)
    try:
        service.wait_until(lambda: service.ask("status").code == 0, "it serves")
        stop = Path(service.command).with_name("service-stop")
        service.systemd.do(stop, "late", "/run/baton", UNIT)
        assert service.ask("status").code == 0
    finally:
        service.systemd.do("systemctl", "stop", by_hand)
    service.systemd.do(stop, "late", "/run/baton", UNIT)
    wait_nothing_is_left(service)


def test_a_stop_does_nothing_as_root_that_the_supervisor_may_not(service):  # noqa: F811
    """Whose directory it tidies up: a link in it leads root nowhere."""
    service.start()
    service.systemd.do("ln", "-sfn", "/etc/victim", "/run/baton/control.sock.lock")
    service.signal(service.pid(), "KILL")
    service.systemd.do("systemctl", "stop", UNIT)
    wait_no_process_is_left(service)
    wait_no_jobs(service)
    assert service.systemd.run("test", "-e", "/etc/victim").code == 1
    service.systemd.do("rm", "-rf", "/run/baton")


def test_a_stop_leaves_what_is_not_batons_in_its_directory(service):  # noqa: F811
    unit = "/run/systemd/system/baton.socket"
    mine, theirs = "/run/baton/mine.sock", "/run/baton/theirs.sock"
    service.systemd.write(unit, f"[Socket]\nListenStream={theirs}\nSocketUser=baton\n")
    service.systemd.do("systemctl", "daemon-reload")
    service.systemd.do("systemctl", "start", "baton.socket")
    config = tables.web(service.address, routes=[{"direct_response": {"status": 200, "body": "hello"}}])
    service.configure(toml.dumps(**tables.also(config, "mine", f"unix:{mine}")))
    for kill in (False, True):
        service.start()
        service.systemd.do("touch", "/run/baton/file")
        assert service.systemd.run("test", "-S", mine).code == 0
        if kill:
            service.signal(service.pid(), "KILL")
        service.systemd.do("systemctl", "stop", UNIT)
        wait_no_process_is_left(service)
        wait_no_jobs(service)
        left = service.systemd.do("ls", "-A", "/run/baton").split()
        assert left == ["file", "theirs.sock"], (kill, left)
    service.systemd.do("systemctl", "stop", "baton.socket")
    service.systemd.do("rm", "-rf", "/run/baton", unit)


def test_a_stop_of_a_supervisor_that_hangs_in_a_reload_leaves_nothing(service):  # noqa: F811
    service.drop_in(PATIENT)
    service.start()
    service.configure(probation="1m")
    service.systemd.do("systemctl", "reload", "--no-block", UNIT)
    service.wait_until(lambda: service.answer() == "generation 2", "probation")
    service.signal(service.pid(), "STOP")
    assert service.show("SubState") == "reload"
    service.systemd.run("systemctl", "stop", UNIT)
    wait_nothing_is_left(service)


def test_one_that_dies_in_a_reload_leaves_its_generations_to_the_next_one(service):  # noqa: F811
    """Then systemd runs ExecStop=, although nobody stops anything."""
    service.start()
    before = service.pid()
    service.configure(probation="1m")
    service.systemd.do("systemctl", "reload", "--no-block", UNIT)
    service.wait_until(lambda: service.answer() == "generation 2", "probation")
    generations = set(service.processes()) - {before}
    service.signal(before, "KILL")
    service.wait_until(lambda: service.pid() not in (0, before), "it is started again")
    service.wait_until(lambda: service.ask("status").code == 0, "the next one has taken over")
    assert {each["pid"] for each in service.status()["generations"]} <= generations
    assert "parameter not set" not in service.log()


def test_a_stop_during_a_reload_is_no_failure(running):  # noqa: F811
    running.configure(probation="1m")
    running.systemd.do("systemctl", "reload", "--no-block", UNIT)
    running.wait_until(lambda: running.answer() == "generation 2", "probation")
    running.systemd.do("systemctl", "stop", UNIT, seconds=9)  # the reload has a minute
    assert (running.show("ActiveState"), running.show("Result")) == ("inactive", "success")
    wait_nothing_is_left(running)


def test_a_supervisor_that_hangs_in_its_drain_is_ended_with_all(running):  # noqa: F811
    running.configure(drain_time="1m")
    running.systemd.do("systemctl", "reload", UNIT)
    with http.Client(running.address) as client:
        assert client.ask().status == 200
        running.systemd.do("systemctl", "stop", "--no-block", UNIT)
        running.wait_for_log("serving -> draining")
        running.signal(running.pid(), "STOP")
        running.systemd.run("systemctl", "stop", UNIT, seconds=2 * PATIENCE)  # it had asked for 30 s
        assert running.processes() == []
        assert client.is_closed()
    wait_nothing_is_left(running)


def test_a_restart_of_a_supervisor_that_hangs_begins_anew(service):  # noqa: F811
    service.drop_in(PATIENT)
    service.start()
    before = service.processes()
    service.signal(service.pid(), "STOP")
    service.systemd.do("systemctl", "restart", UNIT)
    after = service.processes()
    assert len(after) == 2 and not set(before) & set(after)


def test_after_too_many_crashes_the_generation_serves_on_and_a_start_finds_it(service):  # noqa: F811
    crash_until_failed(service)
    generation = service.processes()
    assert len(generation) == 1 and service.answer() == "generation 1"
    service.systemd.do("systemctl", "reset-failed", UNIT)
    service.start()
    assert service.answer() == "generation 1"
    assert sorted(service.processes()) == sorted([service.pid(), *generation])
    service.systemd.do("systemctl", "stop", UNIT)
    wait_nothing_is_left(service)


def test_after_too_many_crashes_a_stop_leaves_nothing(service):  # noqa: F811
    crash_until_failed(service)
    service.systemd.do("systemctl", "stop", UNIT)
    assert service.processes() == []
    wait_nothing_is_left(service)
    service.systemd.do("systemctl", "reset-failed", UNIT)
    service.start()
    assert service.answer() == "generation 1"

"""The supervisor replaces itself: same process, same generations, and no client can tell."""

import os
import shutil
import signal
import subprocess

import pytest
from harness import processes, sockets
from harness.baton import DONE, FAILED, PROXY, REFUSED, SUPERVISOR
from harness.load import ShortClients, Wrk
from harness.tables import relay, staying
from harness.waiting import wait_until


def upgrades_in(baton):
    return baton.log().count("going on as process")


def test_upgrades_under_load_are_not_noticed(start, address, nginx):
    baton = start(relay(address, nginx.address))
    generation = baton.in_charge()["pid"]
    with Wrk(address, connections=32, close=True) as wrk:
        for _ in range(5):
            baton.do("upgrade")
        assert baton.in_charge()["pid"] == generation
        baton.reload()
        baton.wait_drained()
        fds = len(processes.fds(baton.pid))
        for _ in range(5):
            baton.do("upgrade")
        result = wrk.finish()
    assert not result.failed() and result.requests > 100, result.text
    assert baton.in_charge()["id"] == 2
    assert baton.status()["supervisor"]["pid"] == baton.pid
    with open(f"/proc/{baton.pid}/comm", encoding="ascii") as name:
        assert name.read() == "supervisor\n"
    wait_until(lambda: len(processes.fds(baton.pid)) <= fds, 5,
               lambda: f"{fds} descriptors before: {processes.fds(baton.pid)}")


def test_counters_go_on_and_none_is_counted_twice(start, address, liner):
    baton = start(relay(address, liner.address))
    with ShortClients(address) as load:
        for _ in range(5):
            load.wait_for_more(20)
            baton.do("upgrade")
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    wait_until(lambda: baton.metric("baton_listener_connections_active", listener="front") == 0, 5,
               "none is held")
    assert baton.metric("baton_listener_connections_total", listener="front") == tally.completed


def test_the_binary_may_have_been_replaced(start, address, liner, directory):
    """As a package manager does: by renaming a new file over the old one."""
    binary = shutil.copy(SUPERVISOR, directory / "supervisor")
    baton = start(relay(address, liner.address))
    baton.do("upgrade", "--binary", binary)
    shutil.copy(SUPERVISOR, directory / "next")
    os.rename(directory / "next", binary)
    assert os.readlink(f"/proc/{baton.pid}/exe").endswith(" (deleted)")
    os.kill(baton.pid, signal.SIGUSR2)
    wait_until(lambda: os.readlink(f"/proc/{baton.pid}/exe") == str(binary), 10, "the new file runs")
    assert baton.in_charge()["id"] == 1


def test_links_to_a_release_are_followed_anew(prepare, address, liner, directory):
    """As those who keep several releases do: a directory's link names the current one."""
    for release in ("1", "2"):
        (directory / release).mkdir()
        shutil.copy(SUPERVISOR, directory / release / "supervisor")
        shutil.copy(PROXY, directory / release / "proxy")
    current = directory / "current"
    current.symlink_to("1")
    (directory / "baton").symlink_to("current/supervisor")
    baton = prepare(relay(address, liner.address), proxy=None)
    baton.command[baton.command.index(SUPERVISOR)] = directory / "baton"
    baton.start()
    for release in ("2", "1"):
        current.unlink()
        current.symlink_to(release)
        baton.reload("--wait-drained")
        assert os.readlink(f"/proc/{baton.in_charge()['pid']}/exe") == str(directory / release / "proxy")
        answer = baton.do("upgrade")
        assert answer.out.endswith(f": {directory}/baton\n"), answer
        assert os.readlink(f"/proc/{baton.pid}/exe") == str(directory / release / "supervisor")
    # One that leads nowhere any more is no reason to fail.
    (directory / "baton").unlink()
    assert baton.do("upgrade").out.endswith(f": {directory}/1/supervisor\n")


@pytest.mark.parametrize("binary", ["/bin/true", "/bin/false", "/nonexistent", "mute", "chatty"])
def test_a_binary_that_cannot_take_over_changes_nothing(start, address, liner, directory, binary):
    if binary in ("mute", "chatty"):
        body = {"mute": "pause();", "chatty": 'write(4, "not today", 9);'}[binary]
        source = f"#include <unistd.h>\nint main() {{ {body} }}"
        binary = directory / binary
        subprocess.run(["gcc", "-x", "c", "-", "-o", binary], input=source.encode(), check=True)
    baton = start(relay(address, liner.address))
    fds = len(processes.fds(baton.pid))
    with ShortClients(address) as load:
        answer = baton.ask("upgrade", "--binary", binary)
        load.wait_for_more(10)
        tally = load.stop()
    assert answer.code == FAILED and str(binary) in answer.err, answer
    if str(binary).endswith("chatty"):
        assert "not today" in answer.err
    assert not tally.failures and upgrades_in(baton) == 0
    wait_until(lambda: len(processes.children(baton.pid)) == 1, 5, "the one that was asked is gone")
    wait_until(lambda: len(processes.fds(baton.pid)) <= fds, 5, lambda: processes.fds(baton.pid))
    baton.reload()


def test_it_is_refused_during_a_reload_and_the_reload_goes_on(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"probation": "8s"}))
    reload = baton.ask_in_background("reload")
    baton.wait_generation(1, "paused")
    answer = baton.ask("upgrade")
    assert answer.code == REFUSED and "reload is in progress" in answer.err, answer
    out, err = reload.communicate(timeout=20)
    assert reload.returncode == DONE, (out, err)


@pytest.fixture
def deliberate(directory):
    """A binary that says it can take over once somebody has opened the gate, and the gate."""
    gate, binary = directory / "gate", directory / "deliberate"
    os.mkfifo(gate)
    source = f"""
        #include <fcntl.h>
        #include <unistd.h>
        int main() {{ open("{gate}", O_RDONLY); write(4, "baton supervisor takes over", 27); }}"""
    subprocess.run(["gcc", "-x", "c", "-", "-o", binary], input=source.encode(), check=True)
    return binary, gate


def asked_by(baton):
    """The process that is asked whether it can take over."""
    generations = {row["pid"] for row in baton.generations().values()}
    return wait_until(lambda: set(processes.children(baton.pid)) - generations, 5, "it is asked").pop()


def test_a_reload_that_begins_meanwhile_goes_on_and_the_upgrade_is_refused(
        start, address, liner, deliberate):
    baton = start(relay(address, liner.address, supervisor={"probation": "1h"}))
    binary, gate = deliberate
    upgrade = baton.ask_in_background("upgrade", "--binary", binary)
    asked_by(baton)
    reload = baton.ask_in_background("reload")
    baton.wait_generation(1, "paused")
    os.close(os.open(gate, os.O_WRONLY))
    _, err = upgrade.communicate(timeout=20)
    assert upgrade.returncode == REFUSED and "reload is in progress" in err, err
    baton.do("rollback")
    assert reload.wait(20) == FAILED and upgrades_in(baton) == 0


def test_a_stop_meanwhile_refuses_it_and_leaves_nothing_of_it(start, address, liner, deliberate):
    baton = start(relay(address, liner.address))
    upgrade = baton.ask_in_background("upgrade", "--binary", deliberate[0])
    asked = asked_by(baton)
    baton.stop()
    _, err = upgrade.communicate(timeout=20)
    assert upgrade.returncode == REFUSED and "the supervisor is stopping" in err, err
    assert not os.path.exists(f"/proc/{asked}")


def test_drains_and_whoever_waits_for_them_go_on(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"held")
        waiting = baton.ask_in_background("reload", "--wait-drained")
        deadline = baton.wait_generation(1, "draining")["drain_deadline"]
        baton.do("upgrade")
        assert baton.generations()[1]["drain_deadline"] == deadline
        sockets.ask(client, b"still held")
        assert waiting.poll() is None
        baton.do("drain", "--drain-time", "30m")
        baton.do("upgrade")
    out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == DONE and "generation 2 is in charge" in out, (out, err)
    assert baton.wait_drained()["id"] == 2


def test_commands_in_the_middle_of_an_upgrade_are_answered(start, address, liner):
    baton = start(relay(address, liner.address))
    for _ in range(10):
        asked = [baton.ask_in_background("upgrade"),
                 *(baton.ask_in_background("status") for _ in range(6))]
        answers = [(each.communicate(timeout=20), each.returncode) for each in asked]
        assert all(code == DONE for _, code in answers), answers


def test_a_watcher_of_the_status_goes_on(start, address, liner):
    baton = start(relay(address, liner.address))
    watcher = baton.ask_in_background("status", "--watch", "--json")
    try:
        assert '"serving"' in watcher.stdout.readline()
        baton.do("upgrade")
        assert '"serving"' in watcher.stdout.readline()
    finally:
        watcher.kill()
        watcher.communicate()


def test_a_generation_that_is_killed_meanwhile_is_replaced(start, address, liner):
    baton = start(relay(address, liner.address))
    for number in range(1, 4):
        victim = baton.in_charge()
        upgrade = baton.ask_in_background("upgrade")
        processes.kill(victim["pid"])
        out, err = upgrade.communicate(timeout=20)
        assert upgrade.returncode in (DONE, FAILED, REFUSED), (out, err)
        wait_until(lambda gone=victim["id"]: (baton.in_charge() or {"id": gone})["id"] > gone, 20,
                   "a fresh one serves")
        with sockets.connect(address) as client:
            client.sendall(b"line\n")
            assert sockets.read_all(client) == b"answer to line\n"
        assert baton.metric("baton_generation_crashes_total") == number
    assert baton.status()["supervisor"]["pid"] == baton.pid


def test_no_signal_is_lost_and_none_ends_it(start, address, liner):
    """HUP in the middle of an upgrade: a reload before it, or after it."""
    baton = start(relay(address, liner.address))
    for _ in range(3):
        before = baton.in_charge()["id"]
        upgrade = baton.ask_in_background("upgrade")
        os.kill(baton.pid, signal.SIGHUP)
        upgrade.communicate(timeout=20)
        wait_until(lambda last=before: (baton.in_charge() or {"id": last})["id"] > last, 20,
                   "the reload is done")
        baton.wait_drained()

"""kill -9 of the supervisor: its generations serve on, and the next one finds them again."""

import os
import re
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from harness import processes, sockets
from harness.baton import DONE, FAILED, NEXT_PROXY, OTHER_LAYOUT_PROXY, PROXY, REFUSED, WRONG
from harness.load import ShortClients
from harness.tables import relay, saying, staying
from harness.waiting import wait_until

COME_BACK = 9
# When a process has started is not what it was, there.
ELSEWHERE = ["unshare", "--time", "--boottime", "100000", "--fork", "--kill-child"]


def state_path(baton):
    return baton.control.with_name(baton.control.name + ".state")


def token_in(state):
    """Field 22 of a generation: 32 bytes."""
    return re.search(rb"\xb2\x01\x20(.{32})", state, re.DOTALL)[1]


def come_back(baton, generation, token):
    """What a process that says it is this generation is answered: the flags of the frame."""
    body = b"\x08" + bytes([generation]) + b"\x12" + bytes([len(token)]) + token + b"\x18\x01\x38\x01"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(10)
        client.connect(str(baton.control))
        client.send(struct.pack("<4sHHII", b"BTN1", COME_BACK, 0, 1, 0) + body)
        answer, fds, _, _ = socket.recv_fds(client, 65536, 16)
    for fd in fds:
        os.close(fd)
    return struct.unpack("<4sHHII", answer[:16])[2], len(fds)


def test_nothing_restarts_and_nothing_fails_under_load(start, address, liner):
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    with ShortClients(address) as load:
        for round_number in range(5):
            load.wait_for_more(20)
            baton.kill_supervisor()
            load.wait_for_more(20)
            baton.start_again()
            if round_number == 0:
                fds = len(processes.fds(baton.pid)), len(processes.fds(generation))
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    assert baton.in_charge()["id"] == 1 and baton.in_charge()["pid"] == generation
    wait_until(lambda: baton.metric("baton_listener_connections_active", listener="front") == 0, 5,
               "none is held")
    assert baton.metric("baton_listener_connections_total", listener="front") == tally.completed
    assert baton.metric("baton_generation_crashes_total") == 0
    wait_until(lambda: len(processes.fds(baton.pid)) <= fds[0], 5, lambda: processes.fds(baton.pid))
    wait_until(lambda: len(processes.fds(generation)) <= fds[1], 5, lambda: processes.fds(generation))


def test_the_next_one_is_as_good_as_the_one_before(start, address, liner):
    """It reloads, notices a crash, starts a fresh one from its sockets, upgrades, stops."""
    baton = start(relay(address, liner.address))
    baton.kill_supervisor()
    baton.start_again()
    with ShortClients(address) as load:
        baton.reload("--proxy", NEXT_PROXY, "--wait-drained")
        baton.do("upgrade")
        baton.kill_supervisor()
        baton.start_again()
        load.wait_for_more(20)
        processes.kill(baton.in_charge()["pid"])
        wait_until(lambda: (baton.in_charge() or {"id": 0})["id"] == 3, 20, "a fresh one serves")
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.refused(), tally.failures
    assert baton.in_charge()["version"].endswith("next")
    baton.stop()
    assert not state_path(baton).exists()


def test_with_nobody_left_the_command_line_says_what_runs(start, address, another_address, liner):
    baton = start(relay(another_address, liner.address))
    generation = baton.in_charge()["pid"]
    baton.kill_supervisor()
    processes.kill(generation)
    wait_until(lambda: not processes.is_alive(generation), 5, "it is gone")
    baton.command[baton.command.index(baton.config_path)] = baton.write(
        relay(address, liner.address), "other.toml")
    baton.start_again()
    assert baton.in_charge()["id"] == 2
    assert baton.metric("baton_generation_crashes_total") in (0, 1)  # the region may be lost with it
    with sockets.connect(address) as client:
        client.sendall(b"line\n")
        assert sockets.read_all(client) == b"answer to line\n"


def test_another_configuration_on_the_command_line_is_for_the_next_reload(start, address):
    baton = start(saying(address, "first"))
    second = baton.write(saying(address, "second"), "second.toml")
    baton.command[baton.command.index(baton.config_path)] = second
    for _ in range(2):  # it is remembered
        baton.kill_supervisor()
        baton.start_again()
        with sockets.connect(address) as client:
            assert sockets.read_all(client) == b"first"
    assert f"takes what the command line names now: {PROXY} with {second}" in baton.log()
    baton.reload()
    with sockets.connect(address) as client:
        assert sockets.read_all(client) == b"second"


def test_the_same_command_line_does_not_undo_a_reload(start, address):
    baton = start(saying(address, "first"))
    baton.reload("--config", baton.write(saying(address, "second"), "second.toml"))
    baton.kill_supervisor()
    baton.start_again()
    baton.reload()
    with sockets.connect(address) as client:
        assert sockets.read_all(client) == b"second"
    assert "command line" not in baton.log()


def test_one_that_hangs_is_killed_and_replaced(start, address, liner):
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    processes.suspend(generation)
    baton.kill_supervisor()
    baton.start_again()
    assert baton.in_charge()["id"] == 2
    assert "has not come back: killing it" in baton.log()
    assert not processes.is_alive(generation)


@pytest.mark.parametrize("point", ["negotiated", "warmed", "ready"])
def test_killed_while_new_starts_old_goes_on(start, address, liner, point):
    baton = start(relay(address, liner.address), env={"BATON_TEST_HOLD": point})
    with ShortClients(address) as load:
        reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
        baton.wait_for_log(f"holding at {point}")
        baton.kill_supervisor()
        reload.communicate(timeout=20)
        baton.start_again()
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    assert baton.wait_drained()["id"] == 1
    last = baton.status()["last_reload"]
    assert not last["ok"] and "killed during the reload" in last["reason"], last
    baton.reload()
    assert baton.in_charge()["id"] == 3


def killed_in_probation(baton, load, *flags):
    """What the next supervisor finds is a generation on probation and one that is paused."""
    reload = baton.ask_in_background("reload", *flags)
    baton.wait_generation(1, "paused")
    load.wait_for_more(20)
    baton.kill_supervisor()
    reload.communicate(timeout=20)
    load.wait_for_more(20)
    baton.start_again()


def test_killed_in_probation_it_begins_anew_and_ends_in_the_commit(start, address, liner):
    """Nobody notices: what new has accepted goes on in it. The reload's own flags count still."""
    baton = start(relay(address, liner.address, supervisor={"probation": "1h"}))
    with ShortClients(address) as load:
        killed_in_probation(baton, load, "--probation", "12s", "--drain-time", "3s")
        baton.wait_generation(1, "paused")
        progress = baton.status()["reload_in_progress"]
        assert progress["from"] == 1 and progress["to"] == 2, progress
        assert baton.ask("upgrade").code == REFUSED
        assert baton.wait_drained(seconds=40)["id"] == 2
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    last = baton.status()["last_reload"]
    assert last["ok"] and (last["from"], last["to"]) == (1, 2), last
    assert baton.metric("baton_reloads_total", result="ok") == 1


def test_killed_in_probation_connections_move_at_the_commit(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"probation": "2s"}))
    with sockets.connect(address) as of_old:
        sockets.ask(of_old, b"old")
        reload = baton.ask_in_background("reload")
        baton.wait_generation(1, "paused")
        with sockets.connect(address) as of_new:
            sockets.ask(of_new, b"new")
            baton.kill_supervisor()
            reload.communicate(timeout=20)
            baton.start()
            assert baton.wait_drained(moved_in=1)["id"] == 2
            sockets.ask(of_old, b"old still")
            sockets.ask(of_new, b"new still")


def test_killed_in_probation_it_can_be_rolled_back(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"probation": "1h"}))
    with ShortClients(address) as load:
        killed_in_probation(baton, load)
        baton.wait_generation(1, "paused")
        baton.do("rollback")
        assert baton.wait_drained()["id"] == 1
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    last = baton.status()["last_reload"]
    assert not last["ok"] and "rolled back" in last["reason"], last


def assert_another_supervisor_goes_on_with_old(baton, load):
    baton.start_again()
    assert baton.wait_drained()["id"] == 1
    load.wait_for_more(20)
    tally = load.stop()
    assert not tally.refused() and len(tally.failures) <= 8, tally
    assert not baton.status()["last_reload"]["ok"]


def test_killed_in_probation_together_with_new_old_resumes(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"probation": "1h"}))
    with ShortClients(address) as load:
        reload = baton.ask_in_background("reload")
        baton.wait_generation(1, "paused")
        new = baton.wait_generation(2, "serving")["pid"]
        baton.kill_supervisor()
        processes.kill(new)
        reload.communicate(timeout=20)
        assert_another_supervisor_goes_on_with_old(baton, load)


@pytest.mark.parametrize("first", ["the supervisor", "new"])
def test_killed_in_probation_together_with_new_old_serves_before_another_supervisor_comes(
        start, address, liner, first):
    baton = start(relay(address, liner.address, supervisor={"probation": "1h"}))
    with ShortClients(address) as load:
        reload = baton.ask_in_background("reload")
        baton.wait_generation(1, "paused")
        new = baton.wait_generation(2, "serving")["pid"]
        if first == "new":
            os.kill(baton.pid, signal.SIGSTOP)
            processes.kill(new)
            baton.kill_supervisor()
        else:
            baton.kill_supervisor()
            processes.kill(new)
        reload.communicate(timeout=20)
        baton.wait_for_log("serving again")
        load.wait_for_more(20)
        assert_another_supervisor_goes_on_with_old(baton, load)


def test_killed_with_new_a_service_managers_socket_stays_one(start, another_address):
    """It takes clients whatever becomes of its listener, also of that which a dead one had."""
    with socket.socket() as manager:
        manager.bind(("127.0.0.1", 0))
        manager.listen()
        passed = "127.0.0.1:%d" % manager.getsockname()[1]
        baton = start(saying(passed, "%GENERATION%", supervisor={"probation": "1h"}),
                      pass_fds=[manager.fileno()],
                      wrapper=["bash", "-c", f'exec 3<&{manager.fileno()}; LISTEN_PID=$$ exec "$@"', "bash"],
                      env={"LISTEN_FDS": "1"})
        reload = baton.ask_in_background("reload")
        baton.wait_generation(1, "paused")
        new = baton.wait_generation(2, "serving")["pid"]
        os.kill(baton.pid, signal.SIGSTOP)
        processes.kill(new)
        baton.kill_supervisor()
        reload.communicate(timeout=20)
        baton.start_again()
        assert baton.wait_drained()["id"] == 1
        baton.write(saying(another_address, "%GENERATION%", supervisor={"probation": "0s"}))
        baton.reload("--wait-drained")
        with sockets.connect(passed) as client:
            baton.write(saying(passed, "%GENERATION%", supervisor={"probation": "0s"}))
            baton.reload("--wait-drained")
            assert sockets.read_all(client) == b"4"


def test_killed_in_probation_together_with_old_new_goes_on(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"probation": "60s"}))
    reload = baton.ask_in_background("reload")
    old = baton.wait_generation(1, "paused")["pid"]
    with ShortClients(address) as load:
        baton.kill_supervisor()
        processes.kill(old)
        reload.communicate(timeout=20)
        baton.start_again()
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.refused(), tally
    assert baton.wait_drained()["id"] == 2


def test_killed_during_a_drain_the_deadline_goes_on(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "10s"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"held")
        baton.reload()
        before = baton.wait_generation(1, "draining")
        baton.kill_supervisor()
        sockets.ask(client, b"still held")
        baton.start_again()
        after = baton.wait_generation(1, "draining")
        assert after["pid"] == before["pid"]
        assert abs(after["drain_deadline"] - before["drain_deadline"]) < 3
        sockets.ask(client, b"held by nobody's child")
        baton.wait_generation(1, "gone", seconds=40)
        assert sockets.is_closed_by_peer(client)
    assert baton.in_charge()["id"] == 2


def test_a_drain_can_be_retuned_by_the_next_one(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"held")
        baton.reload()
        baton.kill_supervisor()
        baton.start_again()
        baton.wait_generation(1, "draining")
        baton.do("drain", "--drain-time", "0s")
        assert sockets.is_closed_by_peer(client)
    baton.wait_drained()


def test_counts_of_a_generation_that_cannot_share_the_region_go_on(start, address, echoer):
    baton = start(relay(address, echoer.address), proxy=OTHER_LAYOUT_PROXY)

    def active():
        return baton.metric("baton_listener_connections_active", listener="front")

    clients = [sockets.connect(address) for _ in range(3)]
    for client in clients:
        sockets.ask(client, b"hello")
    wait_until(lambda: active() == 3, 10, "three are reported")
    baton.kill_supervisor()
    baton.start_again()
    wait_until(lambda: active() == 3, 10, "they are reported again")
    baton.do("upgrade")
    assert active() == 3
    for client in clients:
        client.close()
    wait_until(lambda: active() == 0, 10, "none is left")
    assert baton.metric("baton_listener_connections_total", listener="front") == 3


# --- who is who


def test_nobody_else_can_pose_as_a_generation(start, address, liner):
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    processes.suspend(generation)
    baton.kill_supervisor()
    state = state_path(baton).read_bytes()
    token = token_in(state)
    baton.launch()
    baton.wait_for_log("waiting for 1 generations")
    refused = (1 | 4, 0)  # reply, error; no descriptor
    assert come_back(baton, 1, b"x" * 32) == refused
    assert come_back(baton, 1, token) == refused  # the secret, but another process
    assert come_back(baton, 7, token) == refused
    status = baton.ask("status")
    assert status.code == REFUSED and "waiting for" in status.err, status
    os.kill(generation, 18)  # SIGCONT
    wait_until(lambda: baton.in_charge() is not None, 10, "it is back")
    assert baton.in_charge()["pid"] == generation
    for _ in range(3):
        assert come_back(baton, 1, token) == refused  # it is not missed any more
    assert baton.log().count("which is not missed") == 1
    assert token not in baton.log_path.read_bytes() and token.hex() not in baton.log()


def test_the_state_is_for_its_owner_only(start, address, liner):
    baton = start(relay(address, liner.address))
    baton.reload()
    assert state_path(baton).stat().st_mode & 0o777 == 0o600


def test_a_second_supervisor_is_refused_also_while_the_first_waits(start, address, liner):
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    processes.suspend(generation)
    baton.kill_supervisor()
    first = baton.launch().process
    baton.wait_for_log("waiting for 1 generations")
    second = baton.launch().process
    assert second.wait(10) == REFUSED
    assert f"process {first.pid}" in baton.log()
    baton.process = first
    os.kill(generation, 18)  # SIGCONT
    wait_until(lambda: baton.in_charge() is not None, 10, "it is back")


@pytest.mark.parametrize("hidden", ["from the one before", "from the next one"])
def test_it_is_known_again_in_a_sandbox_that_shows_less_or_more(prepare, address, liner, hidden):
    """ProcSubset=pid hides which boot this is: an upgrade of the unit may add it, or take it away."""
    hide = ["unshare", "--mount", "sh", "-c",
            'mount --bind /dev/null /proc/sys/kernel/random/boot_id && exec "$@"', "sh"]
    if subprocess.run([*hide, "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("nothing can be mounted here")
    baton = prepare(relay(address, liner.address), wrapper=hide if "before" in hidden else ())
    generation = baton.start().in_charge()["pid"]
    baton.kill_supervisor()
    if "before" in hidden:
        del baton.command[:len(hide)]
    else:
        baton.command[:0] = hide
    baton.start_again()
    assert baton.in_charge()["pid"] == generation
    assert len(baton.generations()) == 1


def test_one_that_was_taken_for_ended_and_comes_back_is_killed(start, address, another_address, liner):
    """Its start looks like another one's to a supervisor in another time namespace."""
    if subprocess.run([*ELSEWHERE, "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no time namespace can be made here")
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    baton.kill_supervisor()
    baton.write(relay(another_address, liner.address))  # its own is in use
    baton.command[:0] = ELSEWHERE
    baton.start_again()
    wait_until(lambda: not processes.is_alive(generation), 20, "two do not serve")
    assert f"taken for ended, and has not: killing process {generation}" in baton.log()
    assert baton.in_charge()["id"] == 2
    with ShortClients(another_address) as load:
        load.wait_for_more(20)
        assert not load.stop().failures


def test_one_that_cannot_start_leaves_the_state_that_it_has_found(start, address, liner):
    """A typing error in the configuration, and the generation that it did not know again is not lost."""
    if subprocess.run([*ELSEWHERE, "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no time namespace can be made here")
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    baton.kill_supervisor()
    baton.write("[proxy")
    baton.command[:0] = ELSEWHERE
    baton.launch()
    assert baton.wait_gone() == WRONG, baton.log()
    assert processes.is_alive(generation) and state_path(baton).exists()
    assert not baton.control.exists()
    baton.write(relay(address, liner.address))
    del baton.command[:len(ELSEWHERE)]
    baton.start_again()
    assert baton.in_charge()["pid"] == generation
    assert len(baton.generations()) == 1


# --- states that cannot be used


def damage(kind, path):
    whole = path.read_bytes()
    if kind == "cut":
        path.write_bytes(whole[:100])
    elif kind == "changed":
        path.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "wide open":
        path.chmod(0o644)
    elif kind == "of somebody else":
        os.chown(path, 65534, 65534)
    elif kind == "a link":
        path.rename(path.with_suffix(".real"))
        path.symlink_to(path.with_suffix(".real"))


def of_a_later_release(state):
    """The same with another format's version."""
    return state[:4] + struct.pack("<I", 99) + state[8:]


def test_a_state_of_a_later_release_is_left_to_that(start, address, liner):
    """It knows of generations that this one does not."""
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    baton.kill_supervisor()
    state = state_path(baton).read_bytes()
    state_path(baton).write_bytes(of_a_later_release(state))
    for _ in range(2):
        baton.launch()
        assert baton.wait_gone() == REFUSED
        assert state_path(baton).read_bytes() == of_a_later_release(state)
        assert not baton.control.exists()
    why = f"{state_path(baton)}: a later release has written the state: it has format 99, this program knows up to 1"
    assert why in baton.log() and f"remove {state_path(baton)}" in baton.log()
    with sockets.connect(address) as client:
        client.sendall(b"line\n")
        assert sockets.read_all(client) == b"answer to line\n"
    state_path(baton).write_bytes(state)
    baton.start_again()
    assert baton.in_charge()["pid"] == generation


@pytest.mark.parametrize(
    "kind", ["cut", "changed", "empty", "wide open", "of somebody else", "a link"])
def test_a_state_that_cannot_be_used(start, address, liner, kind):
    """It says so, and keeps it. What runs is not harmed; without it, a start is a start."""
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    baton.kill_supervisor()
    damage(kind, state_path(baton))
    damaged = state_path(baton).read_bytes()
    baton.launch()
    assert baton.wait_gone() == FAILED
    kept = Path(f"{state_path(baton)}.unusable")
    assert kept.read_bytes() == damaged and f"kept as {kept}" in baton.log()
    assert "cannot be used" in baton.log() and f"process {generation}" in baton.log()
    with sockets.connect(address) as client:
        client.sendall(b"line\n")
        assert sockets.read_all(client) == b"answer to line\n"
    processes.kill(generation)
    wait_until(lambda: not processes.is_alive(generation), 5, "it is gone")
    baton.start_again()
    assert baton.in_charge()["id"] == 1
    assert kept.read_bytes() == damaged
    baton.stop()
    assert not kept.exists() and not kept.is_symlink()


def test_what_was_only_not_trusted_can_be_gone_on_with(start, address, liner):
    baton = start(relay(address, liner.address))
    generation = baton.in_charge()["pid"]
    baton.kill_supervisor()
    damage("wide open", state_path(baton))
    baton.launch()
    assert baton.wait_gone() == FAILED
    kept = Path(f"{state_path(baton)}.unusable")
    kept.chmod(0o600)
    kept.rename(state_path(baton))
    baton.start_again()
    assert baton.in_charge()["pid"] == generation


def test_a_runtime_directory_that_cannot_be_written_is_said_once(prepare, address, liner):
    baton = prepare(relay(address, liner.address))
    blocker = state_path(baton).with_name(state_path(baton).name + ".new")
    (blocker / "in the way").mkdir(parents=True)
    baton.start()
    baton.reload()
    baton.do("upgrade")
    said = "cannot go on with its generations"
    wait_until(lambda: baton.log().count(said) >= 2, 10, lambda: baton.log())
    # As soon as it can be written it is, although nothing changes any more.
    (blocker / "in the way").rmdir()
    blocker.rmdir()
    baton.wait_for_log("the state is written down again")
    assert baton.log().count(said) == 2  # once a program
    baton.kill_supervisor()
    baton.start_again()
    assert baton.in_charge()["id"] == 2
    assert baton.stop().code == DONE


def test_a_full_disk_does_not_keep_the_state_from_being_written(prepare, address, liner):
    baton = prepare(relay(address, liner.address))
    disk = baton.directory / "full"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        baton.use_control(disk / "control.sock")
        baton.start()
        with open(disk / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
            while True:
                filler.write(bytes(1024))
        baton.reload()
        baton.kill_supervisor()
        baton.start_again()
        assert baton.in_charge()["id"] == 2
        assert "cannot" not in baton.log()
        baton.stop()
    finally:
        baton.clean_up()
        subprocess.run(["umount", "--lazy", disk], check=True)

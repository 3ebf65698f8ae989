"""The failure table of the design's section 3: what dies or hangs, when, and who notices."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess

import pytest
from harness import processes, sockets
from harness.baton import CRASHING_PROXY, DONE, FAILED, NEXT_PROXY, PROXY
from harness.load import ShortClients
from harness.tables import also, relay, saying, staying
from harness.upstreams import Upstream, hang
from harness.waiting import wait_until

BEFORE_SERVING = ["start", "negotiated", "inherited", "warmed", "ready"]


def assert_untouched(baton, fds_before):
    """Generation 1 is in charge, nothing of generation 2 is left, and the next reload succeeds."""
    assert baton.wait_drained()["id"] == 1
    wait_until(lambda: len(processes.children(baton.pid)) == 1, 5, lambda: processes.children(baton.pid))
    wait_until(lambda: len(processes.fds(baton.pid)) <= fds_before, 5,
               lambda: f"{fds_before} descriptors before: {processes.fds(baton.pid)}")
    last = baton.status()["last_reload"]
    assert last["ok"] is False and last["reason"], last
    baton.reload("--proxy", PROXY, "--probation", "50ms")
    assert baton.in_charge()["id"] == 3


def start_held(start, address, upstream, point, **supervisor):
    """A Baton whose proxy-next hangs at this point of its start."""
    return start(relay(address, upstream.address, supervisor=supervisor),
                 env={"BATON_TEST_HOLD": point})


@contextlib.contextmanager
def impatient(baton, address, upstream):
    """Only what is reloaded meanwhile is to be ready so soon."""
    baton.write(relay(address, upstream.address, supervisor={"start_timeout": "500ms"}))
    yield
    baton.write(relay(address, upstream.address))


@pytest.mark.parametrize("point", BEFORE_SERVING)
def test_new_is_killed_while_starting(start, address, liner, point):
    baton = start_held(start, address, liner, point)
    fds = len(processes.fds(baton.pid))
    with ShortClients(address) as load:
        reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
        baton.wait_for_log(f"holding at {point}")
        load.wait_for_more(20)
        processes.kill(baton.generations()[2]["pid"])
        out, err = reload.communicate(timeout=20)
        load.wait_for_more(20)
        tally = load.stop()
    assert reload.returncode == FAILED and "killed by signal 9" in err, (out, err)
    assert not tally.failures, tally
    assert_untouched(baton, fds)


@pytest.mark.parametrize("point", BEFORE_SERVING)
def test_new_hangs_while_starting(start, address, liner, point):
    baton = start_held(start, address, liner, point)
    fds = len(processes.fds(baton.pid))
    with ShortClients(address) as load, impatient(baton, address, liner):
        answer = baton.ask("reload", "--proxy", NEXT_PROXY)
        load.wait_for_more(20)
        tally = load.stop()
    assert answer.code == FAILED and answer.err.strip(), answer
    assert not tally.failures, tally
    assert_untouched(baton, fds)


@pytest.mark.parametrize("death", ["killed", "hangs"])
def test_new_fails_in_probation(start, address, liner, death):
    """Old resumes; only what was inside the dead process may fail, and nothing is refused."""
    baton = start_held(start, address, liner, "serving" if death == "hangs" else "never", probation="30s")
    fds = len(processes.fds(baton.pid))
    with ShortClients(address, clients=8) as load:
        load.wait_for_more(20)
        reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
        if death == "killed":
            baton.wait_paused(1)
            load.wait_for_more(20)
            processes.kill(baton.generations()[2]["pid"])
        out, err = reload.communicate(timeout=20)
        load.wait_for_more(50)
        tally = load.stop()
    assert reload.returncode == FAILED and "rolled back" in out + err, (out, err)
    assert not tally.refused(), tally.failures
    assert len(tally.failures) <= 8 and all(stage != "connect" for stage, _ in tally.failures), tally
    assert_untouched(baton, fds)


def test_new_crashes_in_probation_by_itself(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"probation": "20s"}))
    fds = len(processes.fds(baton.pid))
    with ShortClients(address) as load:
        answer = baton.ask("reload", "--proxy", CRASHING_PROXY)
        load.wait_for_more(20)
        tally = load.stop()
    assert answer.code == FAILED and "rolled back" in answer.out + answer.err, answer
    assert "signal 11" in answer.err, answer
    assert not tally.refused() and len(tally.failures) <= 8, tally
    assert_untouched(baton, fds)


def test_a_new_binary_that_never_says_a_word_is_killed_at_the_deadline(start, address, liner, directory):
    mute = directory / "mute"
    subprocess.run(["g++", "-x", "c++", "-", "-o", mute], input=b"#include <unistd.h>\nint main(){pause();}",
                   check=True)
    baton = start(relay(address, liner.address))
    fds = len(processes.fds(baton.pid))
    with impatient(baton, address, liner):
        answer = baton.ask("reload", "--proxy", mute)
    assert answer.code == FAILED and answer.err.strip(), answer
    assert_untouched(baton, fds)


def test_what_a_failed_new_one_had_added_is_served_by_nobody_and_can_be_added_later(
        start, address, another_address, liner):
    baton = start_held(start, address, liner, "ready")
    more = baton.write(also(relay(address, liner.address), "more", another_address), "more.toml")
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY, "--config", more)
    baton.wait_for_log("holding at ready")
    processes.kill(baton.generations()[2]["pid"])
    reload.communicate(timeout=20)
    assert reload.returncode == FAILED
    baton.reload("--proxy", PROXY, "--config", more)
    assert sockets.accepts(another_address)


NAMES = ["more0", "more1", "more2"]


def with_unix_listeners(tables, directory):
    for name in NAMES:
        tables = also(tables, name, f"unix:{directory}/{name}.sock")
    return tables


def socket_files(directory):
    return sorted(path.stem for path in directory.glob("more*.sock"))


@pytest.fixture
def binding(start, address, liner, directory):
    """A Baton whose generation 2 has made socket files and told nobody, and the `reload`."""
    baton = start_held(start, address, liner, "bound")
    more = baton.write(with_unix_listeners(relay(address, liner.address), directory), "more.toml")
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY, "--config", more)
    baton.wait_for_log("holding at bound")
    assert socket_files(directory) == NAMES
    yield baton, reload
    reload.communicate(timeout=20)


@pytest.mark.parametrize("end", ["killed", "rolled back", "cut"])
def test_a_new_one_that_ends_while_it_binds_leaves_no_socket_file(binding, directory, end):
    baton, reload = binding
    if end == "killed":
        processes.kill(baton.generations()[2]["pid"])
    elif end == "rolled back":
        baton.do("rollback")
    else:
        baton.stop("--now")
    assert reload.wait(20) == FAILED
    wait_until(lambda: not socket_files(directory), 5, lambda: socket_files(directory))
    if end != "cut":
        baton.reload("--proxy", PROXY, "--config", baton.directory / "more.toml")
        assert all(sockets.accepts(f"unix:{directory}/{name}.sock") for name in NAMES)


def test_a_strangers_socket_stays_where_a_new_one_was_killed_that_had_bound_there(binding, directory):
    baton, reload = binding
    (directory / "more1.sock").unlink()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(directory / "more1.sock"))
        stranger.listen()
        processes.kill(baton.generations()[2]["pid"])
        assert reload.wait(20) == FAILED
        wait_until(lambda: socket_files(directory) == ["more1"], 5, lambda: socket_files(directory))
        baton.stop()
        assert sockets.accepts(f"unix:{directory}/more1.sock")


def test_a_stop_while_the_first_one_binds_leaves_no_socket_file(prepare, address, liner, directory):
    tables = with_unix_listeners(relay(address, liner.address), directory)
    baton = prepare(tables, proxy=NEXT_PROXY, env={"BATON_TEST_HOLD": "bound"}).launch()
    baton.wait_for_log("holding at bound")
    assert socket_files(directory) == NAMES
    for _ in range(2):  # the second: at once
        baton.process.send_signal(signal.SIGTERM)
    baton.wait_gone()
    assert not socket_files(directory)


def test_queues_of_sockets_that_a_failed_new_one_had_added_are_served_by_old(start, address, liner):
    """New had more workers, so more sockets: old takes those over with who waits in them."""
    baton = start(relay(address, liner.address, workers=1, supervisor={"probation": "30s"}))
    baton.write(relay(address, liner.address, workers=8, supervisor={"probation": "30s"}))
    reload = baton.ask_in_background("reload")
    pid = baton.wait_generation(2, "serving")["pid"]
    baton.wait_generation(1, "paused")
    processes.suspend(pid)  # so that the queues fill
    waiting = []
    for i in range(64):
        client = sockets.connect(address)
        client.sendall(f"{i}\n".encode())
        waiting.append(client)
    processes.kill(pid)
    reload.communicate(timeout=20)
    assert reload.returncode == FAILED
    for i, client in enumerate(waiting):
        with client:
            assert sockets.read_all(client) == f"answer to {i}\n".encode()
    assert baton.wait_drained()["id"] == 1
    baton.reload("--probation", "50ms")  # back to eight
    with ShortClients(address) as load:
        load.wait_for_more(50)
        assert not load.stop().failures


def test_clients_of_a_listener_that_only_a_failed_new_one_had_are_not_left_hanging(
        start, address, another_address, liner):
    patience = {"probation": "30s"}
    baton = start(relay(address, liner.address, supervisor=patience))
    more = baton.write(also(relay(address, liner.address, supervisor=patience), "more", another_address),
                       "more.toml")
    reload = baton.ask_in_background("reload", "--config", more)
    baton.wait_paused(1)
    baton.freeze(pid := baton.generations()[2]["pid"])
    with sockets.connect(another_address) as client:
        processes.kill(pid)
        baton.thaw()
        reload.communicate(timeout=20)
        assert reload.returncode == FAILED
        assert sockets.is_closed_by_peer(client)
    wait_until(lambda: not sockets.accepts(another_address), 5, "it is closed")
    assert baton.wait_drained()["id"] == 1


def test_old_dies_while_new_inherits(start, address, liner):
    """New goes on from the supervisor's escrow: who waits in the queue is served by it."""
    baton = start(relay(address, liner.address, supervisor={"start_timeout": "20s"}))
    old = baton.in_charge()["pid"]
    processes.suspend(old)  # it will not answer new
    waiting = []
    for i in range(20):
        client = sockets.connect(address)
        client.sendall(f"{i}\n".encode())
        waiting.append(client)
    reload = baton.ask_in_background("reload")
    new = baton.wait_generation(2, "starting")["pid"]
    wait_until(lambda: processes.threads(new) >= 1 and len(processes.fds(new)) > 4, 10, "new has begun")
    processes.kill(old)
    out, err = reload.communicate(timeout=30)
    assert baton.wait_drained()["state"] == "serving"
    for i, client in enumerate(waiting):
        with client:
            assert sockets.read_all(client) == f"answer to {i}\n".encode()
    # Whether the reload went on or was overtaken by a fresh start, its answer is clear.
    assert reload.returncode in (DONE, FAILED) and (reload.returncode == DONE or err.strip()), (out, err)


def test_old_dies_under_load_while_new_inherits(start, address, liner):
    baton = start_held(start, address, liner, "negotiated", start_timeout="2s")
    with ShortClients(address, clients=8) as load:
        load.wait_for_more(20)
        reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
        baton.wait_for_log("holding at negotiated")
        processes.kill(baton.generations()[1]["pid"])
        reload.communicate(timeout=20)
        load.wait_for_more(50)
        tally = load.stop()
    assert not tally.refused(), tally.failures
    assert len(tally.failures) <= 8, tally
    assert baton.wait_drained()["version"] == baton.status()["supervisor"]["version"]


def test_old_dies_while_new_warms(start, address, liner):
    """New does not wait any longer for an endpoint's health, and is not taken for one that hangs.

    Nor does a fresh one wait for it that takes the place of new: until it serves, nobody does.
    """
    tables = relay(address, liner.address, supervisor={"start_timeout": "1h"})
    baton = start(tables)
    with Upstream(hang) as silent:
        check = {"type": "http", "interval": "1h", "timeout": "1h"}
        checked = {"name": "slow", "endpoints": [silent.address], "health_check": check}
        baton.write({**tables, "proxy": {**tables["proxy"], "warm_time": "59m"},
                     "cluster": [*tables["cluster"], checked]})
        reload = baton.ask_in_background("reload")
        baton.wait_phase("warm")
        processes.kill(baton.generations()[1]["pid"])
        with sockets.connect(address) as client:
            client.sendall(b"1\n")
            assert sockets.read_all(client) == b"answer to 1\n"
        assert reload.wait(20) == DONE, reload.communicate()
        reload.communicate()
        assert baton.in_charge()["id"] == 2
        processes.kill(baton.in_charge()["pid"])
        with sockets.connect(address) as client:
            client.sendall(b"2\n")
            assert sockets.read_all(client) == b"answer to 2\n"
        baton.wait_generation(3, "serving")


def test_old_dies_while_new_hangs(start, address, liner):
    """New is given no more than a moment: a fresh one starts long before the start's limit."""
    baton = start_held(start, address, liner, "inherited", start_timeout="10m")
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_for_log("holding at inherited")
    processes.kill(baton.generations()[1]["pid"])
    with sockets.connect(address) as client:
        client.sendall(b"1\n")
        assert sockets.read_all(client) == b"answer to 1\n"
    out, err = reload.communicate(timeout=20)
    assert reload.returncode == FAILED and "it was not ready within" in err, (out, err)
    assert baton.wait_drained()["id"] == 3


FEW_DESCRIPTORS = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"]


@pytest.mark.parametrize("binary", [PROXY, CRASHING_PROXY], ids=["committed", "rolled back"])
def test_a_generation_without_free_descriptors_is_reloaded(start, address, echoer, binary):
    """Clients leave it enough for a reload; who is connected stays, who waits is served."""
    probation = {"probation": "1s" if binary == PROXY else "20s"}
    baton = start(relay(address, echoer.address, workers=1, supervisor=probation),
                  wrapper=FEW_DESCRIPTORS)
    clients = [sockets.connect(address) for _ in range(150)]
    inside = clients[:10]
    for client in inside:
        sockets.ask(client, b"before")
    wait_until(lambda: baton.metric("baton_listener_accept_errors_total") > 0, 10, "it is full")
    baton.write(relay(address, echoer.address, workers=4, supervisor=probation))
    answer = baton.ask("reload", "--proxy", binary)
    assert answer.code == (DONE if binary == PROXY else FAILED), answer
    assert ("rolled back" in answer.err) == (binary != PROXY), answer
    for client in inside:
        sockets.ask(client, b"after")
    for client in clients[:60]:
        client.close()
    for client in clients[60:65]:
        sockets.ask(client, b"my turn")
    for client in clients:
        client.close()
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "all have gone")
    sockets.connect(address).close()


def test_old_dies_while_draining(start, address, liner, another_address, echoer):
    baton = start(also(staying(address, liner.address, supervisor={"drain_time": "1h"}),
                       "echo", another_address, echoer.address))
    with sockets.connect(another_address) as lost, ShortClients(address) as load:
        sockets.ask(lost, b"x")
        baton.reload()
        old = baton.wait_generation(1, "draining")
        wait_until(lambda: baton.generations()[1]["connections"] == 1, 10, baton.generations)
        processes.kill(old["pid"])
        assert sockets.is_closed_by_peer(lost)
        baton.wait_generation(1, "gone")
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    assert baton.in_charge()["id"] == 2 and baton.status()["last_reload"]["ok"] is True
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 5, "gauges are zero")


def test_the_only_generation_is_killed_under_load(start, address, liner):
    """A fresh one starts from escrow; connections wait in the queue meanwhile."""
    baton = start(relay(address, liner.address))
    with ShortClients(address, clients=8) as load:
        for _ in range(3):
            load.wait_for_more(50)
            row = baton.in_charge()
            processes.kill(row["pid"])
            wait_until(lambda: (baton.in_charge() or row)["id"] > row["id"], 20, "a fresh one serves")
        load.wait_for_more(50)
        tally = load.stop()
    assert not tally.refused(), tally.failures
    assert all(stage != "connect" for stage, _ in tally.failures), tally.failures
    assert len(tally.failures) <= 3 * 8, tally
    assert len(processes.children(baton.pid)) == 1


def test_clients_in_the_queue_of_a_crashed_generation_are_served(start, address, liner):
    baton = start(relay(address, liner.address))
    pid = baton.in_charge()["pid"]
    processes.suspend(pid)
    waiting = []
    for i in range(50):
        client = sockets.connect(address)
        client.sendall(f"{i}\n".encode())
        waiting.append(client)
    processes.kill(pid)
    for i, client in enumerate(waiting):
        with client:
            assert sockets.read_all(client) == f"answer to {i}\n".encode()


def test_a_crash_loop_ends_at_the_last_good_binary_and_configuration(start, address, directory):
    baton = start(saying(address, "good\n"))
    bad = baton.write(saying(address, "bad\n"), "bad.toml")
    crashing = ("--probation", "0s", "--proxy", CRASHING_PROXY, "--config", bad)
    # It crashes by itself a moment after it serves, as a rule when it is committed already.
    wait_until(lambda: baton.ask("reload", *crashing).code == DONE, 20, "it is committed")

    def back():
        row = baton.in_charge()
        return row and row["binary"] == str(PROXY) and row

    row = wait_until(back, 30, lambda: f"the good one is back: {baton.generations()}")
    assert row["config"] == str(baton.config_path)
    with sockets.connect(address) as client:
        assert sockets.read_all(client) == b"good\n"
    crashes = baton.metric("baton_generation_crashes_total")
    assert 3 <= crashes <= 5, crashes
    note = baton.status()["note"]
    assert note in baton.log() and note in baton.do("status").out
    assert all(str(part) in note for part in (CRASHING_PROXY, bad, PROXY, baton.config_path)), note
    baton.reload()
    assert baton.status()["note"] is None


def test_a_fresh_start_uses_what_ran_though_the_files_have_changed(start, address, directory):
    binary = directory / "proxy"
    shutil.copy(PROXY, binary)
    baton = start(saying(address, "as it was\n"), proxy=binary)
    binary.unlink()
    binary.write_text("not a program")
    baton.config_path.write_text("not = a [configuration")
    first = baton.in_charge()
    processes.kill(first["pid"])
    wait_until(lambda: (baton.in_charge() or first)["id"] > first["id"], 20, "a fresh one serves")
    with sockets.connect(address) as client:
        assert sockets.read_all(client) == b"as it was\n"


def test_a_generation_in_charge_dies_while_a_new_one_warms(start, address, liner):
    baton = start_held(start, address, liner, "warmed", start_timeout="2s")
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_for_log("holding at warmed")
    processes.kill(baton.generations()[1]["pid"])
    with sockets.connect(address) as client:  # waits in the queue, is not refused
        client.sendall(b"x\n")
        assert sockets.read_all(client) == b"answer to x\n"
    reload.communicate(timeout=20)
    assert baton.wait_drained()["state"] == "serving"


def test_both_generations_die_in_probation(start, address, liner):
    """Whichever death is seen first: a fresh one serves, and the reload has one clear answer."""
    baton = start(relay(address, liner.address, supervisor={"probation": "30s"}))
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    new = baton.wait_generation(2, "serving")
    old = baton.wait_generation(1, "paused")
    processes.suspend(baton.pid)  # it sees both at once
    for row in (old, new):
        processes.kill(row["pid"])
    os.kill(baton.pid, signal.SIGCONT)
    with sockets.connect(address) as client:
        client.sendall(b"x\n")
        assert sockets.read_all(client) == b"answer to x\n"
    out, err = reload.communicate(timeout=20)
    assert reload.returncode == DONE or (reload.returncode == FAILED and err.strip()), (out, err)
    assert baton.wait_drained()["id"] == 3


def test_old_dies_in_probation_and_new_goes_on(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"probation": "1h"}))
    with ShortClients(address) as load:
        load.wait_for_more(20)
        reload = baton.ask_in_background("reload")
        baton.wait_generation(2, "serving")
        processes.kill(baton.wait_generation(1, "paused")["pid"])
        reload.communicate(timeout=20)
        load.wait_for_more(20)
        tally = load.stop()
    assert reload.returncode == DONE
    assert not tally.refused() and len(tally.failures) <= 8, tally
    assert baton.wait_drained()["id"] == 2


def test_stop_during_a_reload_ends_both(start, address, liner):
    baton = start_held(start, address, liner, "warmed")
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_for_log("holding at warmed")
    baton.stop()
    out, err = reload.communicate(timeout=20)
    assert reload.returncode != DONE and err.strip(), (out, err)


def test_stop_in_probation_ends_both(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"probation": "1h"}))
    reload = baton.ask_in_background("reload")
    baton.wait_generation(2, "serving")
    baton.stop()
    reload.communicate(timeout=20)
    assert reload.returncode != DONE


def test_stop_during_a_drain_ends_all(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as one:
        sockets.ask(one, b"x")
        baton.reload()
        with sockets.connect(address) as two:
            sockets.ask(two, b"x")
            baton.stop("--drain-time", "200ms")
            assert sockets.is_closed_by_peer(one) and sockets.is_closed_by_peer(two)


def test_a_killed_supervisor_leaves_its_generation_serving(start, address, liner):
    baton = start(relay(address, liner.address))
    pid = baton.in_charge()["pid"]
    baton.process.kill()
    baton.process.wait()
    with sockets.connect(address) as client:
        client.sendall(b"orphan\n")
        assert sockets.read_all(client) == b"answer to orphan\n"
    processes.kill(pid)
    wait_until(lambda: not processes.is_alive(pid), 5, "it is gone")
    baton.control.unlink()


@pytest.mark.parametrize("what", ["exits at once", "text", "directory", "missing", "not executable"])
def test_a_wrong_binary_is_refused_and_old_goes_on(start, address, liner, directory, what):
    path = directory / "wrong"
    if what == "exits at once":
        shutil.copy("/bin/true", path)
    elif what == "text":
        path.write_text("this is no program\n")
        path.chmod(0o755)
    elif what == "directory":
        path.mkdir()
    elif what == "not executable":
        shutil.copy(PROXY, path)
        path.chmod(0o644)
    baton = start(relay(address, liner.address))
    fds = len(processes.fds(baton.pid))
    with ShortClients(address, clients=4) as load:
        load.wait_for_more(5)
        answer = baton.ask("reload", "--proxy", path)
        load.wait_for_more(5)
        tally = load.stop()
    assert answer.code == FAILED and answer.err.strip(), answer
    if what != "exits at once":
        assert str(path) in answer.err, answer
    assert baton.status()["last_reload"]["to"] == (2 if what == "exits at once" else None)
    assert not tally.failures, tally
    assert baton.wait_drained()["id"] == 1
    wait_until(lambda: len(processes.fds(baton.pid)) <= fds, 5, lambda: processes.fds(baton.pid))
    baton.reload("--proxy", PROXY)


@pytest.mark.parametrize("reuseport", [False, True], ids=["plain", "reuseport"])
def test_an_address_in_use_by_a_stranger_is_named_and_old_goes_on(
        start, address, another_address, liner, reuseport):
    baton = start(relay(address, liner.address))
    with socket.socket() as stranger:
        if reuseport:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(sockets.parse(another_address)[1])
        stranger.listen()
        baton.write(also(relay(address, liner.address), "taken", another_address))
        answer = baton.ask("reload")
        assert answer.code == FAILED and another_address in answer.err, answer
        assert str(os.getpid()) in answer.err, answer
    assert baton.wait_drained()["id"] == 1
    baton.reload()  # now it is free
    with sockets.connect(another_address) as client:
        client.sendall(b"x\n")
        assert sockets.read_all(client) == b"answer to x\n"


def is_free(address, kind):
    family, target = sockets.parse(address)
    with socket.socket(family, kind) as probe, contextlib.suppress(OSError):
        probe.bind(target)
        return True
    return False


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_an_address_that_a_stranger_took_from_a_draining_generation_is_not_shared(
        start, address, another_address, echoer, protocol):
    base = staying(address, echoer.address, supervisor={"drain_time": "1h"})
    both = also(base, "more", another_address, protocol=protocol)
    baton = start(both)
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol]
    with sockets.connect(address) as held:
        sockets.ask(held, b"keeps the first generation alive")
        baton.write(base)
        baton.reload()
        wait_until(lambda: is_free(another_address, kind), 5, "old has closed its sockets")
        with socket.socket(socket.AF_INET, kind) as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            stranger.bind(sockets.parse(another_address)[1])
            if protocol == "tcp":
                stranger.listen()
            baton.write(both)
            answer = baton.ask("reload")
            assert answer.code == FAILED and f"{another_address} (in use by" in answer.err, answer
            assert f"pid {os.getpid()}" in answer.err, answer
        baton.reload()
        sockets.ask(held, b"still here")


def test_a_second_supervisor_does_not_share_the_first_ones_address(start, prepare, address, liner):
    start(relay(address, liner.address))
    second = prepare(relay(address, liner.address)).launch()
    assert second.wait_gone() == FAILED
    assert address in second.log()


def test_an_old_generation_that_hangs_does_not_keep_the_new_one_from_serving(start, address, liner):
    """Swapping a process that no longer answers is what a reload is for."""
    baton = start(relay(address, liner.address, supervisor={"probation": "100ms", "drain_time": "500ms"}))
    hung = baton.in_charge()["pid"]
    processes.suspend(hung)
    baton.reload("--proxy", NEXT_PROXY, seconds=20)
    assert baton.in_charge()["id"] == 2
    wait_until(lambda: not processes.is_alive(hung), 10, "the hung one is killed at its deadline")
    with sockets.connect(address) as client:
        client.sendall(b"x\n")
        assert sockets.read_all(client) == b"answer to x\n"


@pytest.mark.parametrize("what", ["text", "not executable"])
def test_a_first_start_that_fails_at_once_says_why_and_ends(prepare, address, directory, what):
    path = directory / "wrong"
    path.write_text("this is no program\n")
    path.chmod(0o755 if what == "text" else 0o644)
    baton = prepare(relay(address, "127.0.0.1:1"), proxy=path).launch()
    assert baton.wait_gone() == FAILED
    assert str(path) in baton.log()


def test_a_failed_start_leaves_no_unix_socket_behind(
        start, prepare, address, another_address, liner, directory):
    path = directory / "new.sock"
    with socket.socket() as stranger:
        stranger.bind(sockets.parse(another_address)[1])
        stranger.listen()
        tables = also(also(relay(address, liner.address), "unix", f"unix:{path}"),
                      "taken", another_address)
        first = prepare(tables).launch()
        assert first.wait_gone() == FAILED
        assert not path.exists()
        baton = start(relay(address, liner.address))
        baton.write(tables)
        assert baton.ask("reload").code == FAILED
        assert not path.exists()

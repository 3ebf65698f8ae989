"""The supervisor as PID 1 of namespaces of its own, as in a container: no init, no shell, no manager."""

import os
import re
import signal
from pathlib import Path

import pytest
from harness import http, processes, tables
from harness.baton import DONE, SUPERVISOR, run
from harness.waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own need root")
# Nothing can be written but /run, and the environment is empty.
BARE = "mount -t tmpfs tmpfs /run && mount -o remount,bind,ro / && exec env -i $0 \"$@\""
NAMESPACES = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


@pytest.fixture
def contained(prepare, address):
    """A Baton that is PID 1; `inside` runs a command beside it."""
    said = {"status": 200, "body": "generation %GENERATION%"}
    baton = prepare(tables.web(address, routes=[{"direct_response": said}], supervisor={"drain_time": "1s"}),
                    wrapper=[*NAMESPACES, "sh", "-c", BARE])
    baton.use_control(Path("/run/control.sock"))
    baton.launch()

    def first():
        children = processes.children(baton.pid)
        return children[0] if children else None

    init = wait_until(first, 10, "PID 1")

    def inside(*command):
        return run("nsenter", "--target", init, "--pid", "--mount", *command)

    def stop(*_):
        """From outside: a command in there would die with its PID 1."""
        os.kill(init, signal.SIGTERM)
        assert baton.wait_gone() == 0, baton.log()

    baton.inside, baton.init, baton.stop = inside, init, stop
    baton.ask = lambda subcommand, *arguments, **_: inside(
        SUPERVISOR, subcommand, "--control", baton.control, *arguments)
    wait_until(lambda: baton.in_charge() is not None, 20, lambda: f"ready; log:\n{baton.log()}")
    return baton


def states(init):
    """Of the processes in its namespace, PID 1 itself left out."""
    found = {}
    for pid in processes.all_pids():
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if os.stat(f"/proc/{init}/ns/pid").st_ino == namespace_of(pid) and pid != init:
            found[pid] = re.search(r"^State:\s+(\w)", status, re.M)[1]
    return found


def namespace_of(pid):
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def test_it_serves_and_reloads_on_a_root_that_is_read_only(contained, address):
    assert contained.status()["supervisor"]["pid"] == 1
    assert contained.inside("touch", "/tmp/x").code != 0
    assert http.ask(address).body == b"generation 1"
    contained.reload()
    assert http.ask(address).body == b"generation 2"


def test_orphans_are_reaped(contained):
    done = contained.inside("sh", "-c", "sleep 0.05 & sleep 0.05 & true")
    assert done.code == DONE
    contained.wait_drained()
    wait_until(lambda: list(states(contained.init).values()) == ["S"], 10,
               lambda: f"nothing but the generation: {states(contained.init)}")


def test_a_container_is_stopped_by_a_signal_and_ends_with_0(contained, address):
    with http.Client(address) as client:
        assert client.ask().status == 200
        contained.stop()
        assert client.is_closed()


def test_a_generation_that_dies_is_replaced(contained, address):
    generation = next(iter(states(contained.init)))
    os.kill(generation, signal.SIGKILL)
    contained.wait_generation(2, "serving")
    assert http.ask(address).body == b"generation 2"

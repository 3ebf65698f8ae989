"""kill -9 under a real systemd: what its store keeps, what comes back, what nobody notices."""

import re
import time

import pytest
from harness import tables, toml
from harness.load import Wrk
from harness.systemd import why_not
from test_systemd import (  # noqa: F401 (fixtures)
    QUICK, UNIT, installed_config, running, service, systemd)

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def stored(service):
    return int(service.show("NFileDescriptorStore"))


def wait_serving(service, generation=None):
    """Until a generation serves (that one, if a number is given); returns its row of `status`."""

    def look():
        done = service.ask("status", "--json")
        if done.code != 0:
            return None
        rows = [g for g in service.status()["generations"] if g["state"] == "serving"]
        return rows and (generation is None or rows[0]["id"] == generation) and rows[0]

    return service.wait_until(look, f"a generation serves: {generation}")


def kill_supervisor(service):
    """Returns once systemd has started another."""
    pid = service.pid()
    service.signal(pid, "KILL")
    service.wait_until(lambda: service.pid() not in (0, pid), "systemd starts it again")
    return service.pid()


def wait_stored(service, count):
    service.wait_until(lambda: stored(service) == count, f"{count} are stored")


def wait_settled(service):
    """Until all there is to store is stored: a canary is the last. Returns their number."""
    sockets, pair, region, state, canary = 2, 2, 1, 1, 1
    wait_stored(service, sockets + pair + region + state + canary)
    return stored(service)


def test_a_killed_supervisor_is_not_noticed(running):  # noqa: F811
    generation = wait_serving(running)
    base, seen = wait_settled(running), {running.pid()}
    with Wrk(running.address, connections=16, close=True) as short, \
            Wrk(running.address, connections=16) as kept:
        for _ in range(5):
            seen.add(kill_supervisor(running))
            now = wait_serving(running)
            assert (now["id"], now["pid"]) == (generation["id"], generation["pid"])
        results = short.finish(), kept.finish()
    assert len(seen) == 6
    for result in results:
        assert not result.failed() and result.requests > 100, result.text
    wait_stored(running, base)
    assert len(running.processes()) == 2
    assert running.show("ActiveState") == "active"
    counted = running.ask("stats", "--filter", "baton_http_requests_total").out
    assert int(counted.split()[-1]) >= sum(result.requests for result in results)


def failed_requests(result):
    """By kind, as wrk counts them; those that could not even connect apart from the rest."""
    failed = {kind: int(count) for kind, count in re.findall(r"(\w+) (\d+)", result.socket_errors)}
    return failed.pop("connect", 0), failed


def test_a_killed_generation_takes_along_what_was_in_it_and_no_more(running):  # noqa: F811
    wait_serving(running)
    base, supervisor, kills, connections = wait_settled(running), running.pid(), 5, 16
    with Wrk(running.address, connections=connections, close=True) as short, \
            Wrk(running.address, connections=connections) as kept:
        for number in range(1, kills + 1):
            running.signal(wait_serving(running, number)["pid"], "KILL")
        wait_serving(running, kills + 1)
        results = short.finish(), kept.finish()
    for result in results:
        refused, failed = failed_requests(result)
        print(f"{result.requests} requests, {refused} refused, failed: {failed}")
        assert refused == 0 and result.bad_statuses == 0 and result.requests > 100, result.text
        assert failed.get("timeout", 0) == 0 and sum(failed.values()) <= kills * connections, result.text
    wait_stored(running, base)
    assert running.pid() == supervisor
    assert running.show("NRestarts") == "0"
    assert len(running.processes()) == 2
    assert f"baton_generation_crashes_total {kills}" in running.ask("stats", "--filter", "crashes").out


def test_both_killed_at_once_no_connection_is_refused(running):  # noqa: F811
    """The sockets are in the store: clients wait in their queues."""
    wait_serving(running)
    base = wait_settled(running)
    requests = running.ask("stats", "--filter", "baton_http_requests_total").out
    for number in range(2, 5):
        old = wait_serving(running)
        running.systemd.do("kill", "-s", "KILL", str(running.pid()), str(old["pid"]))
        # The very next client is answered, however long that takes.
        assert running.answer() == f"generation {number}"
        wait_serving(running, number)
    wait_stored(running, base)
    assert int(running.ask("stats", "--filter", "baton_http_requests_total").out.split()[-1]) >= 3, requests
    assert "baton_generation_crashes_total 3" in running.ask("stats", "--filter", "crashes").out


def test_both_killed_at_once_it_is_active_again_once_a_generation_serves(running):  # noqa: F811
    for _ in range(3):
        before = running.pid()
        old = wait_serving(running)
        wait_settled(running)
        running.systemd.do("kill", "-s", "KILL", str(before), str(old["pid"]))
        running.wait_until(
            lambda gone=before: running.pid() not in (0, gone) and running.show("ActiveState") == "active", "active")
        assert "serving" in [each["state"] for each in running.status()["generations"]], running.log()


def test_the_store_follows_the_configuration(running):  # noqa: F811
    wait_serving(running)
    wait_settled(running)
    running.configure(workers=1)
    running.systemd.do("systemctl", "reload", UNIT)
    running.systemd.do("systemctl", "reload", UNIT)  # the previous pair is stored as well from here on
    before = running.wait_until(lambda: stored(running), "something is stored")
    assert running.ask("upgrade").code == 0
    time_of_upgrade = time.monotonic()
    running.wait_until(lambda: time.monotonic() > time_of_upgrade + 0.2 and stored(running) <= before,
                       "an upgrade adds nothing")
    running.ask("rollback")
    kill_supervisor(running)
    now = wait_serving(running)
    # What rollback goes back to was stored, too.
    done = running.ask("rollback")
    assert done.code == 0, done
    assert wait_serving(running)["id"] == now["id"] + 1


@pytest.mark.parametrize("room", [0, 3])
def test_a_store_without_room_is_said_once_and_nothing_else_changes(service, room):  # noqa: F811
    said_before = service.log().count("does not keep all descriptors")
    service.drop_in(QUICK + f"FileDescriptorStoreMax={room}\n")
    service.start()
    service.wait_until(
        lambda: service.log().count("does not keep all descriptors") > said_before, "it says so")
    generation = wait_serving(service)
    kill_supervisor(service)
    assert wait_serving(service)["pid"] == generation["pid"]
    service.systemd.do("systemctl", "reload", UNIT)
    assert service.answer() == f"generation {generation['id'] + 1}"
    said = service.log().count("does not keep all descriptors") - said_before
    assert said <= 2, "once each supervisor"


def test_without_a_runtime_directory_the_store_alone_is_enough(running):  # noqa: F811
    generation = wait_serving(running)
    wait_settled(running)
    running.systemd.do("rm", "/run/baton/control.sock.state")
    kill_supervisor(running)
    now = wait_serving(running)
    assert (now["id"], now["pid"]) == (generation["id"], generation["pid"])

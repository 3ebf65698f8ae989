"""What is different about a listener on a unix path: one socket for all workers, and a file."""

from harness import sockets
from harness.baton import FAILED
from harness.tables import also, relay
from harness.waiting import wait_until


def test_two_spellings_of_one_path_are_refused(prepare, directory, liner):
    (directory / "run").mkdir()
    (directory / "link").symlink_to("run")
    first, second = f"unix:{directory}/run/x.sock", f"unix:{directory}/link/x.sock"
    only = relay(first, liner.address)
    baton = prepare(also(only, "more", second)).launch()
    assert baton.wait_gone() == FAILED
    assert f"{second} is listened on already as {first}" in baton.log()
    assert not (directory / "run" / "x.sock").exists()
    baton.write(only)
    baton.start()
    baton.write(also(only, "more", second))
    refused = baton.ask("reload")
    assert refused.code == FAILED and f"is listened on already as {first}" in refused.err, refused
    with sockets.connect(second) as client:
        client.sendall(b"x\n")
        assert sockets.read_all(client) == b"answer to x\n"


def test_clients_that_have_a_place_are_not_said_to_wait_for_one(start, directory, echoer):
    """One client wakes all workers, of which each takes a place before it looks for one."""
    address = f"unix:{directory}/front.sock"
    baton = start(relay(address, echoer.address, workers=4, listener={"max_connections": 1}))
    for _ in range(30):
        with sockets.connect(address) as client:
            sockets.ask(client, b"x")
        wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 5, "the place is free")
    assert baton.metric("baton_listener_connections_limited_total") == 0

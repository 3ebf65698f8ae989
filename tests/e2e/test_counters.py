"""Counters are exact across reloads and crashes; gauges come back to zero."""

import pytest
from harness import processes, sockets
from harness.baton import NEXT_PROXY, OTHER_LAYOUT_PROXY, PROXY
from harness.load import ShortClients
from harness.tables import relay
from harness.waiting import wait_until

QUICK = {"probation": "20ms"}


def assert_exact(baton, tally, completed=None):
    """Every figure about connections equals what the clients have seen."""
    completed = tally.completed if completed is None else completed

    def figures():
        metrics = baton.metrics()

        def total(name):
            return sum(value for (each, _), value in metrics.items() if each == name)

        return {
            "connections": total("baton_listener_connections_total"),
            "upstream": total("baton_upstream_connections_total"),
            "received": total("baton_listener_received_bytes_total"),
            "sent": total("baton_listener_sent_bytes_total"),
            "active": total("baton_listener_connections_active"),
            "upstream active": total("baton_upstream_connections_active"),
        }

    wanted = {"connections": completed, "upstream": completed, "received": tally.sent_bytes,
              "sent": tally.received_bytes, "active": 0, "upstream active": 0}
    wait_until(lambda: figures() == wanted, 10, lambda: f"\nwanted {wanted}\nfound  {figures()}")


def test_counters_are_exact_after_100_reloads(start, address, liner):
    baton = start(relay(address, liner.address, supervisor=QUICK))
    with ShortClients(address) as load:
        for i in range(100):
            baton.reload("--proxy", (PROXY, NEXT_PROXY)[i % 2])
        tally = load.stop()
    assert not tally.failures, tally
    assert_exact(baton, tally)
    assert baton.metric("baton_reloads_total", result="ok") == 100


def test_counters_are_exact_after_10_crashes(start, address, liner):
    """Each crash meets no connection: so the clients' count is the whole truth."""
    baton = start(relay(address, liner.address))
    load = ShortClients(address)
    total = load.total
    for _ in range(10):
        with ShortClients(address) as load:
            load.wait_for_more(20)
            tally = load.stop()
        assert not tally.failures, tally
        for name in ("completed", "sent_bytes", "received_bytes"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        assert_exact(baton, total)
        row = baton.in_charge()
        processes.kill(row["pid"])
        wait_until(lambda: (baton.in_charge() or row)["id"] > row["id"], 20, "a fresh one serves")
        baton.reload()  # whereupon its next crash is the first again, and is not waited with
    assert_exact(baton, total)
    assert baton.metric("baton_generation_crashes_total") == 10


def test_a_crash_under_load_loses_no_count_and_leaves_no_gauge(start, address, liner):
    baton = start(relay(address, liner.address))
    with ShortClients(address) as load:
        for _ in range(5):
            load.wait_for_more(30)
            row = baton.in_charge()
            processes.kill(row["pid"])
            wait_until(lambda: (baton.in_charge() or row)["id"] > row["id"], 20, "a fresh one serves")
        load.wait_for_more(30)
        tally = load.stop()
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0
               and baton.metric("baton_upstream_connections_active") == 0, 5, "gauges are zero")
    # A connection that died inside a crashed process was counted, or had not been accepted yet.
    counted = baton.metric("baton_listener_connections_total")
    assert tally.completed <= counted <= tally.completed + len(tally.failures), (counted, tally)


def test_no_counter_ever_goes_backwards(start, address, liner):
    """Read again and again while generations come, crash and go."""
    baton = start(relay(address, liner.address, supervisor=QUICK))
    last = {}
    with ShortClients(address, clients=4) as load:
        for i in range(20):
            if i % 5 == 4:
                row = baton.in_charge()
                processes.kill(row["pid"])
                wait_until(lambda: (baton.in_charge() or row)["id"] > row["id"], 20, "a fresh one serves")
            else:
                baton.reload("--proxy", (PROXY, NEXT_PROXY)[i % 2])
            metrics = {key: value for key, value in baton.metrics().items()
                       if key[0].endswith(("_total", "_count", "_sum", "_bucket"))}
            for key, value in last.items():
                assert metrics.get(key, 0) >= value, (key, value, metrics.get(key))
            last = metrics
        load.stop()


@pytest.mark.parametrize("pattern", [(OTHER_LAYOUT_PROXY, PROXY), (PROXY, OTHER_LAYOUT_PROXY)],
                         ids=["there and back", "there"])
def test_counters_are_exact_when_layouts_differ(start, address, liner, pattern):
    """Then they travel by message; not one is lost or counted twice."""
    baton = start(relay(address, liner.address, supervisor=QUICK))
    with ShortClients(address) as load:
        for proxy in pattern * 3:
            load.wait_for_more(20)
            baton.reload("--proxy", proxy)
        load.wait_for_more(20)
        tally = load.stop()
    assert not tally.failures, tally
    assert_exact(baton, tally)


def test_a_gauge_follows_connections_over_an_overlap(start, address, echoer):
    """1 in old, 2 over both, 1 left in new, 0."""
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))

    def active():
        return baton.metric("baton_listener_connections_active", listener="front")

    one = sockets.connect(address)
    sockets.ask(one, b"1")
    assert active() == 1
    baton.reload()
    assert active() == 1
    two = sockets.connect(address)
    sockets.ask(two, b"2")
    assert active() == 2
    one.close()
    wait_until(lambda: active() == 1, 5, active)
    baton.wait_generation(1, "gone")
    assert active() == 1
    two.close()
    wait_until(lambda: active() == 0, 5, active)


def test_each_outcome_of_a_reload_is_counted(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"probation": "20ms"}))
    baton.reload()
    good = baton.config_path.read_text()
    baton.config_path.write_text("bad [")
    baton.ask("reload")
    baton.config_path.write_text(good)
    baton.reload("--no-wait", "--probation", "30s")
    processes.kill(baton.in_charge()["pid"])
    baton.wait_generation(1, "gone")
    wait_until(lambda: baton.metric("baton_reloads_total", result="rolled_back") == 1, 5, baton.metrics)
    assert baton.metric("baton_reloads_total", result="ok") == 1
    assert baton.metric("baton_reloads_total", result="failed") == 1

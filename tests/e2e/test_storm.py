"""The promise: reload as often as you like, under load, and no client can tell."""

import statistics
import threading

import pytest
from harness import sockets
from harness.baton import NEXT_PROXY, PROXY
from harness.load import ShortClients, Wrk
from harness.tables import also, relay
from harness.waiting import wait_until

QUICK = {"probation": "20ms", "drain_time": "10s"}


def test_a_storm_of_100_reloads_fails_no_request(start, address, another_address, nginx, capsys):
    """Two binaries and two configurations in turn, 64 new connections at any moment."""
    configs = [relay(address, nginx.address, supervisor=QUICK),
               also(relay(address, nginx.address, supervisor=QUICK, listener={"idle_timeout": "1h"}),
                    "second", another_address, nginx.address)]
    baton = start(configs[0])
    paths = [baton.write(tables, f"{i}.toml") for i, tables in enumerate(configs)]
    serving = []
    with Wrk(address, connections=64, close=True) as wrk:
        for i in range(100):
            baton.reload("--proxy", (PROXY, NEXT_PROXY)[i % 2], "--config", paths[i // 2 % 2])
            phases = baton.status()["last_reload"]["phases"]
            serving.append(sum(phase["ms"] for phase in phases
                               if phase["name"] in ("spawn", "negotiate", "inherit", "warm", "serve")))
        result = wrk.finish()
    assert not result.failed(), result.text
    assert result.requests > 1000
    assert baton.wait_drained()["id"] == 101
    with capsys.disabled():
        print(f" [{result.requests} requests; reload to serving under load: median "
              f"{statistics.median(serving):.1f} ms, longest {max(serving):.1f} ms]", end="")


@pytest.mark.parametrize("connections", ["short", "kept"])
def test_worker_counts_change_under_load(start, address, nginx, connections):
    """1 → 4 → 2 → 8 → 1: no queue is lost when sockets are served by others."""
    counts = [1, 4, 2, 8, 1]
    baton = start(relay(address, nginx.address, workers=1, supervisor=QUICK))
    with Wrk(address, connections=64, close=connections == "short") as wrk:
        for i in range(20):
            baton.write(relay(address, nginx.address, workers=counts[(i + 1) % 5], supervisor=QUICK))
            baton.reload()
        result = wrk.finish()
    assert not result.failed(), result.text
    assert result.requests > 1000


def test_a_storm_answers_every_single_client_correctly(start, address, liner):
    """Not only no error: each client gets the answer to its own line, whole."""
    baton = start(relay(address, liner.address, supervisor=QUICK))
    with ShortClients(address, clients=16) as load:
        for i in range(30):
            baton.write(relay(address, liner.address, workers=1 + i % 4, supervisor=QUICK))
            baton.reload("--proxy", (PROXY, NEXT_PROXY)[i % 2])
            load.wait_for_more(5)
        tally = load.stop()
    assert not tally.failures and tally.completed > 150, tally


def test_exactly_one_generation_is_in_charge_at_any_time(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor=QUICK))
    seen, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            seen.append([g["id"] for g in baton.status()["generations"] if g["state"] == "serving"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(10):
            baton.reload()
    finally:
        stop.set()
        watcher.join()
    assert all(len(serving) == 1 for serving in seen), [s for s in seen if len(s) != 1]
    assert seen == sorted(seen)  # and never an older one again


def test_long_connections_live_through_many_reloads(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={**QUICK, "drain_time": "1h",
                                                              "max_draining": 32}))
    clients = []
    try:
        for i in range(8):
            clients += [sockets.connect(address) for _ in range(5)]
            for n, client in enumerate(clients):
                sockets.ask(client, f"client {n} round {i}".encode())
            baton.reload()
        for n, client in enumerate(clients):
            sockets.ask(client, f"client {n} at the end".encode())
    finally:
        for client in clients:
            client.close()
    assert baton.wait_drained()["id"] == 9


def test_a_transfer_goes_on_while_generations_come_and_go(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={**QUICK, "drain_time": "1h"}))
    payload = sockets.pattern(32 << 20)
    with sockets.connect(address) as client:
        sender = threading.Thread(target=client.sendall, args=(payload,))
        sender.start()
        received = sockets.read_exactly(client, 1 << 20)
        for _ in range(3):
            baton.reload()
        received += sockets.read_exactly(client, len(payload) - len(received))
        sender.join()
    assert received == payload
    wait_until(lambda: len(baton.generations()) == 1, 10, baton.generations)

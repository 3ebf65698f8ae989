"""kill -9 in the middle of the move of all that an HTTP listener holds.

Kept-alive clients, upgraded ones and the idle connections to their server travel in one batch.
"""

import pytest
from harness import processes
from harness.baton import NEXT_PROXY, PROXY

from harness.kinds import Kept, Upgraded, serve
from harness.tables import web
from harness.upstreams import Upstream
from harness.waiting import wait_until

QUICK = {"probation": "20ms", "drain_time": "24h"}
KINDS = 6  # of each kind


@pytest.fixture
def held(start, address):
    """Starts what hangs at a point of generation 1 or 2, with clients; returns (baton, clients, server)."""
    with Upstream(serve) as upstream:

        def begin(point, proxy):
            tables = web(address, upstream.address, workers=1, supervisor=QUICK, http={"upgrades": ["echo"]})
            baton = start(tables, proxy=proxy, env={"BATON_TEST_HOLD": point})
            clients = [Upgraded(address) for _ in range(KINDS)] + [Kept(address) for _ in range(KINDS)]
            for client in clients:
                client.use()
            return baton, clients, upstream

        yield begin


def end(baton, clients):
    for client in clients:
        client.close()
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 10, "all have gone")
    assert baton.metric("baton_http_requests_active") == 0


@pytest.mark.parametrize("point", ["offered", "accepted", "committed"])
def test_old_dies_and_everything_that_was_offered_lives_on(held, point):
    baton, clients, upstream = held(f"{point}:1", NEXT_PROXY)
    accepted = upstream.accepted
    baton.reload("--proxy", PROXY)
    baton.wait_for_log(f"holding at {point}")
    processes.kill(baton.generations()[1]["pid"])
    assert baton.wait_drained(moved_in=len(clients))["id"] == 2
    for client in clients:
        client.use()
    assert upstream.accepted == accepted, "the idle connections have not come along"
    end(baton, clients)


def test_new_dies_before_it_answers_and_its_successor_gets_everything(held):
    baton, clients, upstream = held("prepared:2", PROXY)
    accepted = upstream.accepted
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_for_log("holding at prepared")
    processes.kill(baton.generations()[2]["pid"])
    reload.communicate(timeout=20)
    assert baton.wait_drained(moved_in=len(clients))["id"] == 3
    for client in clients:
        client.use()
    assert upstream.accepted == accepted, "the idle connections have not come along"
    end(baton, clients)


def test_new_dies_with_its_answer_on_the_way_and_all_of_it_has_one_fate(held):
    """Either the answer came too late, and old has everything, or the commit was on its way to new."""
    baton, clients, _ = held("answered:2", PROXY)
    reload = baton.ask_in_background("reload", "--proxy", NEXT_PROXY)
    baton.wait_for_log("holding at answered")
    processes.kill(baton.generations()[2]["pid"])
    reload.communicate(timeout=20)
    baton.wait_generation(3, "serving")
    assert len({client.is_alive() for client in clients}) == 1
    end(baton, clients)


def test_new_dies_behind_the_commit_with_what_it_had_and_nothing_else(held, address):
    baton, clients, _ = held("started:2", PROXY)
    baton.reload("--proxy", NEXT_PROXY)
    baton.wait_for_log("holding at started")
    processes.kill(baton.generations()[2]["pid"])
    baton.wait_generation(3, "serving")
    assert not any(client.is_alive() for client in clients)
    fresh = Kept(address)
    fresh.use()
    end(baton, [*clients, fresh])

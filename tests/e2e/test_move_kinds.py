"""A next generation that takes over some kinds of connections only, none, or does not answer at all."""

import pytest
from harness.baton import NEXT_PROXY, PROXY
from harness.kinds import HTTP, Kept, Talk, Tunnel, Upgraded, serve
from harness.tables import also, relay
from harness.upstreams import Upstream, echo
from harness.waiting import wait_until

PATIENT = {"probation": "20ms", "drain_time": "24h"}
EACH = 5  # clients of each kind
KINDS = {"TCP_TUNNEL": Tunnel, "HTTP_IDLE": Kept, "HTTP_TUNNEL": Upgraded}


@pytest.fixture
def held(start, address, another_address):
    """Begins with all kinds of clients, in one worker, whose connections travel in one batch."""
    clients = []
    with Upstream(echo) as echoer, Upstream(serve) as web:

        def begin(**env):
            tables = relay(address, echoer.address, workers=1, supervisor=PATIENT)
            baton = start(also(tables, "web", another_address, web.address, **HTTP), env=env)
            for kind in KINDS.values():
                clients.extend(kind(address if kind is Tunnel else another_address) for _ in range(EACH))
            for client in clients:
                client.use()
            return baton, clients

        yield begin
        for client in clients:
            client.close()


@pytest.mark.parametrize("known", ["TCP_TUNNEL", "HTTP_IDLE", "HTTP_TUNNEL", "HTTP_IDLE,IDLE_UPSTREAM",
                                   "TCP_TUNNEL,HTTP_TUNNEL", ""])
def test_what_new_knows_moves_and_the_rest_goes_on_in_old(held, known):
    baton, clients = held(BATON_TEST_KNOWS=known)
    taken = EACH * sum(kind in known for kind in KINDS)
    left = len(clients) - taken
    with Talk(clients) as talk:
        talk.goes_on()
        baton.reload("--proxy", NEXT_PROXY)
        wait_until(lambda: baton.generations()[1]["connections"] == left, 20, "what can move has moved")
        talk.goes_on()
        # One that was busy at the commit is refused later.
        wait_until(lambda: baton.metric("baton_connections_move_rejected_total", reason="unknown_kind") == left,
                   10, "all are refused")
        assert baton.in_charge()["moved_in"] == taken
        # Who knows all of them gets all of them, from both.
        baton.reload("--proxy", PROXY)
        assert baton.wait_drained(moved_in=len(clients))["id"] == 3
        talk.goes_on()
    assert baton.metric("baton_listener_connections_total") == len(clients)
    assert baton.metric("baton_listener_connections_active") == len(clients)


def test_what_new_does_not_take_is_cut_at_the_deadline_and_not_before(held):
    baton, clients = held(BATON_TEST_KNOWS="HTTP_IDLE")
    said = baton.reload("--wait-drained", "--drain-time", "1s", "--proxy", NEXT_PROXY).out
    assert f"{EACH} connections moved, 0 left (rejected: {2 * EACH} unknown_kind), {2 * EACH} cut" in said
    for client in clients:
        assert client.is_alive() == (type(client) is Kept)


def test_while_new_does_not_answer_everything_goes_on_in_old(held):
    baton, clients = held(BATON_TEST_HOLD="prepared:2")
    with Talk(clients) as talk:
        baton.reload("--proxy", NEXT_PROXY)
        baton.wait_for_log("connections are not taken over")
        talk.goes_on()
        assert baton.generations()[1]["connections"] == len(clients)
    baton.stop("--now")

"""Random lives of tunnels, interleaved with reloads, by seed: every byte is compared.

BATON_MOVE_SEED=N repeats the one that failed; tests/bench/moving_by_seed goes on for as long as one likes.
"""

import os
import random
import time

from harness.baton import NEXT_PROXY, PROXY
from harness.seeded_tunnels import SeededTunnels
from harness.tables import relay

SECONDS = 4


def test_tunnels_live_any_life_through_reloads(start, address):
    fixed = os.environ.get("BATON_MOVE_SEED")
    seeds = random.SystemRandom()
    with SeededTunnels(address, lambda: None) as tunnels:
        baton = start(relay(address, tunnels.upstream,
                            supervisor={"probation": "10ms", "drain_time": "1m"}))
        binaries = [NEXT_PROXY, PROXY]

        def reload():
            binaries.reverse()
            return baton.ask_in_background("reload", "--proxy", binaries[0])

        tunnels.reload = reload
        end = time.monotonic() + SECONDS
        runs = 0
        while runs == 0 or (time.monotonic() < end and fixed is None):
            tunnels.run(int(fixed) if fixed else seeds.randrange(1 << 32))
            runs += 1
        assert tunnels.reloads >= runs
        assert baton.metric("baton_connections_moved_total") >= runs

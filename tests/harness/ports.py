"""Port numbers that nobody else will take.

They lie below the range the kernel hands out by itself, and each run of the tests holds a block of
its own for as long as it lives: the name of an abstract unix socket is the claim.
"""

import itertools
import os
import socket

FIRST, BLOCK, BLOCKS = 10000, 1000, 22

_claim = None
_next = None


def _claim_block():
    global _claim, _next
    start = os.getpid() % BLOCKS
    for number in itertools.chain(range(start, BLOCKS), range(start)):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0baton-test-ports-{number}")
        except OSError:
            claim.close()
            continue
        _claim, _next = claim, itertools.cycle(range(FIRST + number * BLOCK, FIRST + (number + 1) * BLOCK))
        return
    raise RuntimeError("every block of test ports is claimed")


def free_port():
    """Free on every address of both families; not given out again until the block is used up."""
    if _next is None:
        _claim_block()
    for port in itertools.islice(_next, BLOCK):
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                probe.bind(("::", port))
            return port
        except OSError:
            continue
    raise RuntimeError("no free port left")

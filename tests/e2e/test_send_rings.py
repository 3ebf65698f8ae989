"""Small sends of a worker in one system call (io_uring), and what happens where there is none."""

import os
import re
from pathlib import Path

import pytest
from harness import http, sockets, tables
from harness.baton import NEXT_PROXY, PROXY
from harness.http import RawServer
from harness.load import Wrk
from harness.waiting import wait_until

REFUSED = Path(__file__).resolve().parents[1] / "harness" / "without_io_uring"
QUICK = {"probation": "20ms", "drain_time": "10s", "drain_strategy": "immediate"}


def completions(fdinfo):
    """None where the kernel does not tell: an old one, and any one while the ring is in use."""
    for _ in range(200):
        if told := re.search(r"^CqTail:\s*(\d+)$", fdinfo.read_text(), re.M):
            return int(told[1])
    return None


def rings(pid):
    """How many sends each of its rings has done; kernels before 5.18 do not say."""
    done = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(fd) == "anon_inode:[io_uring]":
                done.append(completions(Path(f"/proc/{pid}/fdinfo/{fd.name}")))
        except FileNotFoundError:
            pass
    return done


@pytest.mark.parametrize("refused", [False, True], ids=["rings", "none"])
@pytest.mark.parametrize("kind", ["relay", "web"])
def test_small_messages_and_reloads(start, address, nginx, kind, refused):
    """64 busy connections through reloads, between a proxy and the next, no error."""
    config = getattr(tables, kind)(address, nginx.address, workers=2, supervisor=QUICK)
    baton = start(config, wrapper=[REFUSED] if refused else [])
    usual = "io_uring for" not in baton.log()
    assert not (refused and usual), "it has a ring although the kernel refuses"
    with Wrk(address, connections=64) as wrk:
        for i in range(6):
            before = baton.in_charge()["pid"]
            baton.reload("--proxy", (NEXT_PROXY, PROXY)[i % 2])
            assert baton.in_charge()["pid"] != before
        pid = baton.in_charge()["pid"]
        if usual and None not in rings(pid):
            wait_until(lambda: sum(count or 0 for count in rings(pid)) > 100, 20,
                       lambda: f"sends through rings: {rings(pid)}")
        found = rings(pid)
        result = wrk.finish()
    assert not result.failed(), result.text
    assert result.requests > 1000
    if refused:
        assert not found
        assert "no io_uring" in baton.log() and "io_uring_setup: Operation not permitted" in baton.log()
    elif usual:
        assert len(found) == min(2, len(os.sched_getaffinity(0)))


def test_more_workers_than_cpus(start, address, nginx):
    """Those that have no ring send all the same."""
    workers = len(os.sched_getaffinity(0)) + 2
    if workers > 64:
        pytest.skip("there cannot be more workers")
    baton = start(tables.web(address, nginx.address, workers=workers))
    with Wrk(address, connections=64) as wrk:
        baton.reload()
        assert http.ask(address).status == 200
        found = rings(baton.in_charge()["pid"])
        result = wrk.finish()
    assert not result.failed(), result.text
    assert len(found) in (0, workers - 2)


@pytest.mark.parametrize("chunk", [100, 1000, 5000])
def test_an_answer_of_many_small_pieces_reaches_a_slow_client_in_order(start, address, chunk):
    """HTTP/1.0 knows no chunks: each is sent by itself, far more of them than wait in a row."""
    body = sockets.pattern(2 << 20, seed=chunk)
    pieces = [body[at:at + chunk] for at in range(0, len(body), chunk)]
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with RawServer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked) as upstream:
        start(tables.web(address, upstream.address, workers=1))
        with sockets.connect(address, receive_buffer=4096) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            received = bytearray()
            while piece := client.recv(1500):
                received += piece
    head, _, rest = bytes(received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(rest) == len(body)
    assert rest == body

"""Moving while descriptors are short, on either side: what cannot move goes on where it is."""

import itertools
import os
import resource
import socket
import threading

import pytest
from harness import processes, sockets
from harness.http import Client, answer
from harness.tables import relay, web
from harness.upstreams import Upstream

UNPRIVILEGED = 54321  # a user who owns nothing else: only those without privileges have the limit
RESERVE = 64  # descriptors that are not for clients (proxy/config/fd_budget.h)
QUICK = {"probation": "20ms", "drain_time": "24h"}


class FewDescriptors:
    """A process that may open only so many more."""

    def __init__(self, pid, more):
        self.pid = pid
        self.before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = processes.fds(pid)
        limit = next(itertools.islice((n for n in itertools.count() if n not in used), more, None))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, self.before[1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, self.before)


class ManyInFlight:
    """So many descriptors sent and not received that the kernel takes no more from this user."""

    def __init__(self, user, count):
        ready, held = os.pipe()
        until, self._over = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._over)
                self._hold(user, count, held, until)
            finally:
                os._exit(1)
        os.close(held)
        os.close(until)
        with os.fdopen(ready, "rb") as said:
            assert said.read() == b"held"

    @staticmethod
    def _hold(user, count, held, until):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for _ in range(count // 200):
            socket.send_fds(sender, [b"x"], [receiver.fileno()] * 200)
        os.write(held, b"held")
        os.close(held)
        os.read(until, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._over)
        os.waitpid(self.pid, 0)


def in_flight(_):
    """At the sender: ETOOMANYREFS."""
    return ManyInFlight(UNPRIVILEGED, 600)


def none_left(baton):
    """At the receiver: the message arrives without them (MSG_CTRUNC)."""
    return FewDescriptors(baton.in_charge()["pid"], 0)


@pytest.fixture
def unprivileged(prepare):
    """Makes a Baton without privileges, and with few descriptors."""

    def begin(config):
        wrapper = ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"]
        if os.geteuid() != 0:
            return prepare(config, wrapper=wrapper).start()
        wrapper += ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
        baton = prepare(config, wrapper=wrapper)
        os.chown(baton.directory, UNPRIVILEGED, UNPRIVILEGED)
        return baton.start()

    return begin


@pytest.mark.parametrize(("shortage", "words"), [(in_flight, "Too many references"), (none_left, "too many open files")])
def test_while_no_descriptor_gets_through_a_connection_goes_on_in_old(start, unprivileged, address, shortage, words):
    """It does not stand still for that either, and moves when the shortage is over."""
    asked, go_on = threading.Event(), threading.Event()

    def serve(connection):
        while connection.recv(1 << 16):
            asked.set()
            assert go_on.wait(20)
            connection.sendall(answer(body=b"ok"))

    with Upstream(serve) as upstream:
        begin = unprivileged if shortage is in_flight else start
        baton = begin(web(address, upstream.address, workers=1, supervisor=QUICK))
        with Client(address) as client:
            # Under way at the commit, so that it is offered when it has been answered.
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert asked.wait(20)
            baton.reload()
            with shortage(baton):
                go_on.set()
                assert client.reader.response().body == b"ok"
                baton.wait_for_log(words)
                client.socket.settimeout(1.5)  # less than new would be waited for
                for _ in range(5):
                    assert client.ask().body == b"ok"
                assert baton.generations()[1]["connections"] == 1
            baton.wait_drained(moved_in=1)
            assert client.ask().body == b"ok"


def test_what_new_has_no_descriptors_for_goes_on_in_old(start, address, echoer):
    baton = start(relay(address, echoer.address, workers=1, supervisor={**QUICK, "probation": "4s"}))
    clients = [sockets.connect(address) for _ in range(40)]
    for client in clients:
        sockets.ask(client, b"before")
    reload = baton.ask_in_background("reload")
    with FewDescriptors(baton.wait_generation(2, "serving")["pid"], RESERVE + 20):
        said, _ = reload.communicate(timeout=20)
        for client in clients:
            sockets.ask(client, b"meanwhile")
        moved = baton.generations()[2]["moved_in"]
        assert 0 < moved < 10 and baton.generations()[1]["connections"] == 40 - moved
        assert f"{moved} connections moved, {40 - moved} left (rejected: {40 - moved} no_descriptors)" in said, said
    baton.reload()
    baton.wait_drained(moved_in=40)
    for client in clients:
        sockets.ask(client, b"after")
        client.close()

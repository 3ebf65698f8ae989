"""What a generation may not do any more, whoever it obeys."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest
from harness import http, processes, tables
from harness.baton import FORBIDDEN_PROXY
from harness.waiting import wait_until

FORBIDDEN = ["execve", "fork", "ptrace", "netlink", "executable memory", "io_uring", "kill"]


def status(pid):
    return Path(f"/proc/{pid}/status").read_text()


def web_saying(address, **options):
    said = {"status": 200, "body": "generation %GENERATION%"}
    return tables.web(address, routes=[{"direct_response": said}], **options)


def serving(start, address, log=None, **options):
    return start(web_saying(address, log=log), **options)


def test_neither_program_can_gain_privileges(start, address):
    baton = serving(start, address)
    for pid in (baton.pid, baton.in_charge()["pid"]):
        assert "NoNewPrivs:\t1\n" in status(pid)


def test_a_generation_is_refused_what_it_does_not_need(start, address):
    baton = serving(start, address, proxy=FORBIDDEN_PROXY)
    generation = baton.in_charge()["pid"]
    if "Seccomp:\t2\n" not in status(generation):
        pytest.skip("built without seccomp")
    baton.wait_for_log(f"tried {FORBIDDEN[-1]}: ")
    tried = dict(re.findall(r"tried ([\w ]+): (.*)", baton.log()))
    assert tried == dict.fromkeys(FORBIDDEN, "Function not implemented")
    assert http.ask(address).body == b"generation 1"
    baton.reload()
    assert http.ask(address).body == b"generation 2"


# --- capabilities(7)


DAC_OVERRIDE, NET_BIND_SERVICE, SYS_PTRACE = 1, 10, 19
OF_SUPERVISOR = {DAC_OVERRIDE, NET_BIND_SERVICE, SYS_PTRACE}
OF_GENERATION = {DAC_OVERRIDE, NET_BIND_SERVICE}
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")


def capabilities(pid, thread=None):
    """Of one thread, by set: Inh, Prm, Eff, Bnd, Amb."""
    sets = re.findall(r"^Cap(\w+):\s+(\w+)$", status(f"{pid}/task/{thread or pid}"), re.M)
    return {name: {n for n in range(64) if int(mask, 16) >> n & 1} for name, mask in sets}


def check_capabilities(pid, needed):
    """Every thread has what is needed, of what this test has, and no more."""
    mine = capabilities(os.getpid())["Eff"]
    wanted = {"Inh": set(), "Prm": needed & mine, "Eff": needed & mine, "Bnd": OF_SUPERVISOR & mine, "Amb": set()}
    for thread in os.listdir(f"/proc/{pid}/task"):
        assert capabilities(pid, thread) == wanted, (pid, thread)


def check_both(baton):
    check_capabilities(baton.pid, OF_SUPERVISOR)
    generation = baton.in_charge()["pid"]
    assert processes.threads(generation) == 4, "main, access log, two workers"
    check_capabilities(generation, OF_GENERATION)


def low_port():
    """Free, and one of those that take CAP_NET_BIND_SERVICE."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) < 1024:
        pytest.skip("anybody may bind any port here")
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no low port is free")


@pytest.fixture
def logs(directory):
    """A directory that root may write to by a capability only."""
    path = directory / "logs"
    path.mkdir(mode=0o700)
    os.chown(path, NOBODY, NOBODY)
    return path


@as_root
def test_as_root_both_programs_keep_what_they_need_and_no_more(start, address, logs):
    baton = serving(start, address, log=logs / "access.log")
    check_both(baton)
    baton.reload("--wait-drained")
    check_both(baton)
    baton.do("upgrade")
    check_both(baton)
    baton.kill_supervisor()
    baton.start_again()
    assert baton.in_charge()["id"] == 2, "it came back"
    check_both(baton)
    baton.reload()
    check_both(baton)


@as_root
def test_as_root_low_ports_and_files_of_others_are_within_reach_after_a_reload(start, logs):
    port = low_port()
    address = f"127.0.0.1:{port}"
    log = logs / "access.log"
    baton = serving(start, address, log=log)
    assert http.ask(address).body == b"generation 1"
    address = f"127.0.0.2:{port}"
    baton.write(web_saying(address, log=log))
    baton.reload("--wait-drained")
    assert http.ask(address).body == b"generation 2"
    log.rename(logs / "access.log.1")
    os.kill(baton.pid, signal.SIGUSR1)
    wait_until(log.exists, 10, "the log is opened again")
    assert http.ask(address).body == b"generation 2"
    wait_until(lambda: '"generation":2' in log.read_text(), 10, log.read_text)


@as_root
def test_as_root_udp_sockets_are_added_on_a_low_port_once_new_serves(start):
    """They are bound when threads run already."""
    address = f"127.0.0.1:{low_port()}"
    baton = start(tables.relay(address, "127.0.0.1:1", listener={"protocol": "udp"}, workers=1))
    baton.write(tables.relay(address, "127.0.0.1:1", listener={"protocol": "udp"}, workers=3))
    baton.reload()
    assert "going on with fewer sockets" not in baton.log()
    generation = baton.in_charge()["pid"]
    links = [link for link in processes.fds(generation).values() if link in udp_sockets_on(address)]
    assert len(set(links)) == 3


def udp_sockets_on(address):
    """Their links in /proc/PID/fd."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port)}

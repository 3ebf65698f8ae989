"""What a generation may not do any more, whoever it obeys."""

import re
from pathlib import Path

import pytest
from harness import http, tables
from harness.baton import FORBIDDEN_PROXY

FORBIDDEN = ["execve", "fork", "ptrace", "netlink", "executable memory", "kill"]


def status(pid):
    return Path(f"/proc/{pid}/status").read_text()


def serving(start, address, **options):
    said = {"status": 200, "body": "generation %GENERATION%"}
    return start(tables.web(address, routes=[{"direct_response": said}]), **options)


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

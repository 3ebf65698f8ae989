"""Wrong configurations and unwelcome guests: each gets a clear answer, nobody else notices."""

import contextlib
import os
import re
import resource
import select
import signal
import socket
import struct
import time
from pathlib import Path

import pytest
from harness import processes, sockets
from harness.baton import DONE, FAILED, PROXY, REFUSED, SUPERVISOR, WRONG, run
from harness.load import ShortClients
from harness.ports import free_port
from harness.tables import also, relay, staying
from harness.toml import dumps
from harness.waiting import wait_until

GOOD = dumps(**relay("127.0.0.1:9", "127.0.0.1:19"))
MISTAKES = {  # what to replace, with what, and what the message must name
    "unknown key": ('protocol = "tcp"', 'protcol = "tcp"', "protcol"),
    "unknown table": ("[proxy]", "[prox]", "prox"),
    "wrong type": ("workers = 2", 'workers = "two"', "workers"),
    "out of range": ("workers = 2", "workers = -1", "workers"),
    "unknown protocol": ('"tcp"', '"sctp"', "tcp"),
    "bad address": ('"127.0.0.1:9"', '"127.0.0.1"', "address"),
    "bad port": ('"127.0.0.1:9"', '"127.0.0.1:99999"', "address"),
    "port 0": ('"127.0.0.1:9"', '"127.0.0.1:0"', "address"),
    "no such cluster": ('cluster = "back"', 'cluster = "bakc"', "bakc"),
    "no endpoints": ('["127.0.0.1:19"]', "[]", "endpoints"),
    "bad endpoint": ('["127.0.0.1:19"]', '["nowhere"]', "endpoints"),
    "duration without a unit": ('"100ms"', '"100"', "probation"),
    "duration that is a number": ('"100ms"', "100", "probation"),
    "syntax": ("[proxy]", "[proxy", ""),
    "duplicate key": ("workers = 2", "workers = 2\nworkers = 3", "workers"),
    "duplicate listener": ("[[cluster]]", '[[listener]]\nname = "front"\naddress = "127.0.0.1:10"\n'
                           'protocol = "tcp"\ncluster = "back"\n[[cluster]]', "front"),
    "duplicate address": ("[[cluster]]", '[[listener]]\nname = "other"\naddress = "127.0.0.1:9"\n'
                          'protocol = "tcp"\ncluster = "back"\n[[cluster]]', "127.0.0.1:9"),
    "unknown filter": ("[[cluster]]", '[[listener.filter]]\ntype = "teleport"\n[[cluster]]', "teleport"),
    "bad supervisor key": ("drain_time", "drian_time", "drian_time"),
    "bad strategy": ("[supervisor]", '[supervisor]\ndrain_strategy = "brutal"', "immediate"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_line_and_column(directory, mistake):
    old, new, named = MISTAKES[mistake]
    assert old in GOOD
    path = directory / "bad.toml"
    path.write_text(GOOD.replace(old, new, 1))
    answer = run(SUPERVISOR, "check", "--config", path, "--proxy", PROXY)
    assert answer.code == WRONG, answer
    lines = answer.err.splitlines()
    assert lines and all(re.match(rf"{re.escape(str(path))}:\d+:\d+: .+", line) for line in lines), answer
    assert named in answer.err, answer


def test_the_good_configuration_is_good(directory):
    path = directory / "good.toml"
    path.write_text(GOOD)
    answer = run(SUPERVISOR, "check", "--config", path, "--proxy", PROXY)
    assert answer.code == DONE, answer


def test_all_mistakes_are_told_at_once(directory):
    path = directory / "bad.toml"
    text = GOOD
    for mistake in ("unknown key", "wrong type", "no endpoints", "duration without a unit"):
        text = text.replace(*MISTAKES[mistake][:2], 1)
    path.write_text(text)
    answer = run(SUPERVISOR, "check", "--config", path, "--proxy", PROXY)
    assert answer.code == WRONG and len(answer.err.splitlines()) >= 4, answer
    places = [int(line.split(":")[1]) for line in answer.err.splitlines()]
    assert places == sorted(places)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\0" * 100, b"[[listener]]\n" * 2000, b"a" * 100_000,
                                     b"[proxy]\nworkers = 1\n"],
                         ids=["empty", "not utf-8", "zeros", "repeated", "long", "no listener"])
def test_rubbish_is_refused_politely(directory, content):
    path = directory / "rubbish.toml"
    path.write_bytes(content)
    answer = run(SUPERVISOR, "check", "--config", path, "--proxy", PROXY)
    assert answer.code == WRONG and str(path) in answer.err, answer


def test_run_with_a_bad_configuration_is_exit_2_and_tells_all(prepare):
    baton = prepare(GOOD.replace("workers = 2", 'workers = "two"').replace("protocol", "protcol"))
    baton.launch()
    assert baton.wait_gone() == WRONG
    assert len(re.findall(rf"{re.escape(str(baton.config_path))}:\d+:\d+: ", baton.log())) >= 2, baton.log()


@pytest.mark.parametrize("what", ["missing", "directory", "pipe", "not readable"])
def test_run_with_an_unreadable_configuration_names_it(prepare, directory, what):
    path = directory / "config.toml"
    if what == "directory":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "not readable":
        if os.geteuid() == 0:
            pytest.skip("root reads everything")
        path.write_text(GOOD)
        path.chmod(0)
    baton = prepare(arguments=["--config", path]).launch()
    assert baton.wait_gone() == WRONG
    assert str(path) in baton.log()


def test_run_names_an_address_in_use(prepare, echoer):
    baton = prepare(relay(echoer.address, "127.0.0.1:1")).launch()
    assert baton.wait_gone() == FAILED
    assert echoer.address in baton.log() and str(os.getpid()) in baton.log()


def test_run_without_a_proxy_names_what_it_looked_for(prepare, address):
    baton = prepare(relay(address, "127.0.0.1:1"), proxy="/nonexistent/proxy").launch()
    assert baton.wait_gone() != 0
    assert "/nonexistent/proxy" in baton.log()


def test_reload_with_a_bad_configuration_names_each_line_and_old_goes_on(start, address, liner):
    baton = start(relay(address, liner.address))
    good = baton.config_path.read_text()
    baton.config_path.write_text(good.replace("workers = 2", 'workers = "two"').replace("protocol", "protcol"))
    with ShortClients(address, clients=4) as load:
        load.wait_for_more(5)
        answer = baton.ask("reload")
        load.wait_for_more(5)
        tally = load.stop()
    assert answer.code == FAILED, answer
    assert len(re.findall(rf"{re.escape(str(baton.config_path))}:\d+:\d+: ", answer.err)) >= 2, answer
    assert not tally.failures and baton.wait_drained()["id"] == 1
    missing = baton.ask("reload", "--config", "/nonexistent.toml")
    assert missing.code == FAILED and "/nonexistent.toml" in missing.err, missing
    pipe = baton.directory / "pipe"
    os.mkfifo(pipe)
    waits_for_nobody = baton.ask("reload", "--config", pipe)
    assert waits_for_nobody.code == FAILED, waits_for_nobody
    assert f"is not a regular file: {pipe}" in waits_for_nobody.err, waits_for_nobody
    baton.config_path.write_text(good)
    baton.reload()


def test_more_listeners_than_descriptors_says_the_limit_and_the_need(directory):
    tables = relay("127.0.0.1:20000", "127.0.0.1:1", workers=8)
    for i in range(1, 200):
        tables = also(tables, f"l{i}", f"127.0.0.1:{20000 + i}")
    path = directory / "many.toml"
    path.write_text(dumps(**tables))
    answer = run("sh", "-c", 'ulimit -n 256; exec "$@"', "sh", PROXY, "--check", "--config", path)
    assert answer.code == WRONG and "256" in answer.err and re.search(r"1[6-9]\d\d|2\d\d\d", answer.err), answer


def test_as_many_descriptors_as_it_says_it_needs_are_enough(start, directory, address, echoer):
    tables = relay(address, echoer.address, workers=1)
    path = directory / "few.toml"
    path.write_text(dumps(**tables))

    def limited(limit):
        return ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh"]

    answer = run(*limited(66), PROXY, "--check", "--config", path)
    needed = re.search(r"needs at least (\d+) ", answer.err)
    assert answer.code == WRONG and needed, answer
    start(tables, wrapper=limited(needed[1]))
    for _ in range(5):
        with sockets.connect(address) as client:
            sockets.ask(client, b"x")


def test_a_reload_that_the_supervisor_has_too_few_descriptors_for_says_the_limit_and_the_need(
        start, directory, address, echoer):
    tables = staying(address, echoer.address, workers=1, supervisor={
        "drain_time": "1h", "probation": "0s", "max_draining": 32})
    baton = start(tables, wrapper=["sh", "-c", 'ulimit -n 100; exec "$@"', "sh"])
    with contextlib.ExitStack() as draining:
        for _ in range(30):
            sockets.ask(draining.enter_context(sockets.connect(address)), b"keeps it")
            answer = baton.ask("reload")
            if answer.code != DONE:
                break
        said = re.search(r"the supervisor needs at least (\d+) open files.* the limit is 100;", answer.err)
        assert answer.code == FAILED and said and 100 < int(said[1]) < 130, answer
        assert baton.ask("reload").code == FAILED
    baton.wait_drained()
    baton.reload()


def test_the_supervisors_soft_limit_is_raised_again_at_a_reload(start, address, echoer):
    tables = relay(address, echoer.address)
    baton = start(tables)
    for i in range(20):
        tables = also(tables, f"l{i}", f"127.0.0.1:{free_port()}")
    baton.write(tables)
    limit = len(processes.fds(baton.pid)) + 10
    resource.prlimit(baton.pid, resource.RLIMIT_NOFILE, (limit, 1024))
    baton.reload()


def test_the_soft_limit_of_descriptors_is_raised_by_itself(start, address, echoer):
    baton = start(relay(address, echoer.address),
                  wrapper=["sh", "-c", 'ulimit -Sn 128; exec "$@"', "sh"])
    clients = [sockets.connect(address) for _ in range(150)]
    for client in clients:
        sockets.ask(client, b"x")
        client.close()
    assert baton.metric("baton_listener_accept_errors_total") == 0


# --- guests at the control socket

def guest(baton, kind=socket.SOCK_SEQPACKET):
    client = socket.socket(socket.AF_UNIX, kind)
    client.connect(str(baton.control))  # blocks while the backlog is full
    client.settimeout(10)
    return client


def test_rubbish_on_the_control_socket_harms_only_its_sender(start, address, liner):
    baton = start(relay(address, liner.address))
    fds = len(processes.fds(baton.pid))
    messages = [b"\0", b"hello", b"\xff" * 64, os.urandom(5000), struct.pack("<IIII", 1, 2, 3, 4) * 10,
                b"\x08\x01" * 1000, bytes(60_000)]
    for message in messages:
        with guest(baton) as client:
            try:
                client.send(message)
                client.recv(1 << 16)
            except OSError:
                pass
        assert baton.in_charge()["id"] == 1
    wait_until(lambda: len(processes.fds(baton.pid)) <= fds, 5, lambda: processes.fds(baton.pid))


def test_descriptors_sent_to_the_control_socket_are_not_kept(start, address, liner):
    baton = start(relay(address, liner.address))
    fds = len(processes.fds(baton.pid))
    with open("/etc/hostname", "rb") as file:
        for _ in range(20):
            with guest(baton) as client:
                try:
                    socket.send_fds(client, [b"take this"], [file.fileno()] * 100)
                except OSError:
                    pass
    baton.status()  # behind them in the queue: they have all been accepted
    wait_until(lambda: len(processes.fds(baton.pid)) <= fds, 5, lambda: processes.fds(baton.pid))
    assert "/etc/hostname" not in processes.fds(baton.pid).values()


def test_guests_who_connect_and_say_nothing_do_not_keep_others_out(start, address, liner):
    baton = start(relay(address, liner.address))
    silent = [guest(baton) for _ in range(100)]
    wait_until(lambda: baton.ask("status").code == DONE, 10, "one of them has made place")
    baton.reload()
    assert baton.in_charge()["id"] == 2
    for client in silent:
        client.close()


def asked_status(baton):
    """A guest who has been answered, and waits for nothing any more."""
    client = guest(baton)
    client.send(struct.pack("<4sHHII", b"BTN1", 4, 0, 1, 0))
    flags = 2
    while flags & 2:  # more of the answer follows
        flags = struct.unpack("<4sHHII", client.recv(1 << 16)[:16])[2]
    assert flags == 1
    return client


def test_guests_who_wait_for_nothing_do_not_keep_others_out(start, address, liner):
    baton = start(relay(address, liner.address))
    watching = baton.ask_in_background("status", "--watch")

    def watch_until_it_shows(pid):
        seen, end = b"", time.monotonic() + 10
        while not re.search(rb"\b%d\b" % pid, seen):
            assert select.select([watching.stdout], [], [], max(0, end - time.monotonic()))[0], seen
            more = os.read(watching.stdout.fileno(), 1 << 16)
            assert more, f"it has ended behind {seen}"
            seen += more

    try:
        watch_until_it_shows(baton.in_charge()["pid"])
        processes.suspend(watching.pid)  # the first to be silent: the last guest takes its place
        with contextlib.ExitStack() as guests:
            for _ in range(64):
                guests.enter_context(asked_status(baton))
            baton.reload()
            os.kill(watching.pid, signal.SIGCONT)
            watch_until_it_shows(baton.in_charge()["pid"])
    finally:
        watching.kill()
        watching.communicate()


def connections_to(path):
    """Of a Unix socket: the server's ends, which bear its name; proc_net(5)."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(1 for line in lines if line.endswith(f" {path}") and line.split()[5] == "03")


def test_more_commands_than_may_wait_are_told_so(start, address, liner):
    baton = start(relay(address, liner.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address):
        waiting = [baton.ask_in_background("stop") for _ in range(64)]
        wait_until(lambda: connections_to(baton.control) == 64, 20, "64 commands wait")
        too_many = baton.ask("status")
        assert too_many.code == REFUSED and "busy" in too_many.err, too_many
        baton.process.send_signal(signal.SIGTERM)
    assert [each.wait(20) for each in waiting] == [DONE] * 64
    for each in waiting:
        each.communicate()


def test_a_client_of_the_wrong_socket_type_is_refused_by_the_kernel(start, address, liner):
    baton = start(relay(address, liner.address))
    with pytest.raises(OSError):
        guest(baton, socket.SOCK_STREAM)
    assert baton.in_charge()["id"] == 1


def test_rubbish_on_the_admin_listener_harms_nobody(start, address, another_address, liner):
    baton = start(relay(address, liner.address, admin=another_address))
    for message in (b"\r\n\r\n", b"GET", b"\0" * 5000, b"GET /" + b"x" * 100_000, b"POST /metrics HTTP/1.1\r\n\r\n"):
        with sockets.connect(another_address) as client:
            try:
                client.sendall(message)
                client.shutdown(socket.SHUT_WR)
                sockets.read_all(client)
            except OSError:
                pass
    answer = run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"http://{another_address}/nowhere")
    assert answer.out == "404"
    assert baton.in_charge()["id"] == 1


def test_a_binary_that_is_no_proxy_is_named_as_such(start, address, liner):
    baton = start(relay(address, liner.address))
    answer = baton.ask("reload", "--proxy", "/bin/true")
    assert answer.code == FAILED and "is /bin/true a Baton proxy?" in answer.err, answer
    answer = run(SUPERVISOR, "run", "--control", baton.directory / "other.sock", "--proxy", "/bin/true")
    assert answer.code == FAILED and "is /bin/true a Baton proxy?" in answer.err, answer
    answer = run(SUPERVISOR, "check", "--proxy", "/bin/true")
    assert answer.code == WRONG and "not a Baton proxy: /bin/true" in answer.err, answer

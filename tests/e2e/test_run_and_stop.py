"""`run`, `stop`, signals, and what must be gone afterwards."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from harness import processes, sockets, toml
from harness.baton import DONE, FAILED, NO_SUPERVISOR, PROXY, REFUSED, SUPERVISOR, WRONG, run
from harness.programs import program
from harness.tables import also, relay, saying, staying
from harness.upstreams import Upstream
from harness.waiting import wait_until

# A network of its own, so that nobody else's port 8080 matters; the process keeps its pid.
OWN_NETWORK = ["unshare", *(["--map-root-user"] if os.geteuid() else []), "--net", "--",
               "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def inside(baton, *command):
    user = ["--user", "--preserve-credentials"] if os.geteuid() else []
    return run("nsenter", f"--target={baton.pid}", "--net", *user, "--", *command)


def test_without_a_configuration_it_answers_on_8080_and_names_its_generation(start):
    baton = start(wrapper=OWN_NETWORK)
    first = inside(baton, "curl", "-sS", "http://127.0.0.1:8080/")
    assert first.code == 0 and re.search(r"generation 1\b", first.out), first
    baton.reload()
    second = inside(baton, "curl", "-sS", "http://127.0.0.1:8080/")
    assert second.code == 0 and re.search(r"generation 2\b", second.out), second
    metrics = inside(baton, "curl", "-sS", "http://127.0.0.1:9901/metrics")
    assert "baton_listener_connections_total" in metrics.out, metrics


def test_a_log_that_nobody_reads_holds_nobody_up(start, directory, address, echoer):
    unread = directory / "unread"
    os.mkfifo(unread)
    pipe = os.open(unread, os.O_RDWR)
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    baton = start(relay(address, echoer.address), wrapper=["sh", "-c", 'exec "$@" 2>"$0"', unread])
    for _ in range(10):
        baton.reload()
    with sockets.connect(address) as client:
        sockets.ask(client, b"a line\n")
    os.close(pipe)


def limited_to(bytes_of_a_file):
    return ["prlimit", f"--fsize={bytes_of_a_file}", "--"]


def test_a_log_file_that_may_not_grow_any_more_ends_nobody(start, directory, address, echoer):
    log, limit = directory / "full", 2 << 30  # above the region's size, which counts, too
    log.touch()
    os.truncate(log, limit - 100)
    baton = start(relay(address, echoer.address),
                  wrapper=[*limited_to(limit), "sh", "-c", 'exec "$@" 2>>"$0"', log])
    baton.reload("--wait-drained")
    assert log.stat().st_size == limit
    with sockets.connect(address) as client:
        sockets.ask(client, b"a line\n")


def test_a_limit_of_file_sizes_that_is_below_the_regions_is_told(prepare, address, echoer):
    baton = prepare(relay(address, echoer.address), wrapper=limited_to(1 << 20)).launch()
    assert baton.wait_gone() == FAILED and "RLIMIT_FSIZE" in baton.log(), baton.log()


def test_the_proxy_is_found_next_to_the_supervisor(start, address):
    baton = start(saying(address, "hello\n"), proxy=None)
    assert baton.in_charge()["binary"] == str(PROXY)


def test_the_supervisor_needs_less_than_8_mb(start, address, echoer):
    baton = start(relay(address, echoer.address))
    for _ in range(5):
        baton.reload("--wait-drained")
    assert processes.rss_bytes(baton.pid) < 8 << 20


def test_reloads_leak_no_descriptor_thread_or_process(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"probation": "20ms"}))
    for _ in range(2):
        baton.reload("--wait-drained")

    def held():
        row = baton.wait_drained()
        return (sorted(kind.split(":")[0] for kind in processes.fds(baton.pid).values()),
                len(processes.fds(row["pid"])), processes.threads(row["pid"]),
                len(processes.children(baton.pid)))

    # The supervisor may not have closed yet what it was last asked by.
    before = min((held() for _ in range(10)), key=lambda each: (len(each[0]), *each[1:]))
    for _ in range(15):
        baton.reload("--wait-drained")
    wait_until(lambda: held() == before, 5, lambda: f"before {before}, now {held()}")


def test_no_descriptor_without_a_reason_reaches_a_generation(start, address, echoer):
    """What the caller of `run` had open is not the proxies' business."""
    baton = start(relay(address, echoer.address),
                  wrapper=["sh", "-c", 'exec 7</etc/passwd 9</etc/hostname; exec "$@"', "sh"])
    baton.reload("--wait-drained")
    files = set(processes.fds(baton.in_charge()["pid"]).values())
    assert not {"/etc/passwd", "/etc/hostname"} & files, files


def test_stop_lets_a_connection_end_first(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"before")
        stopping = baton.ask_in_background("stop")
        wait_until(lambda: not sockets.accepts(address), 10, "nobody accepts any more")
        sockets.ask(client, b"after stop was asked for")
        assert stopping.poll() is None
    assert stopping.wait(10) == DONE, stopping.communicate()
    stopping.communicate()
    assert baton.wait_gone() == 0


def test_stop_cuts_what_outlasts_its_drain_time(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"x")
        baton.stop("--drain-time", "100ms")
        assert sockets.is_closed_by_peer(client)


def test_a_stop_that_is_under_way_can_be_shortened(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"x")
        patient = baton.ask_in_background("stop")
        baton.wait_generation(1, "draining")
        baton.stop("--drain-time", "100ms")
        assert sockets.is_closed_by_peer(client)
        assert patient.wait(10) == DONE
        patient.communicate()


def test_stop_now_waits_for_nothing(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"x")
        answer = baton.stop("--now")
        assert sockets.is_reset_by_peer(client)
    assert answer.seconds < 5


def test_stop_now_cuts_old_generations_too_and_kills_one_that_hangs(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"x")
        baton.reload()
        hung = baton.in_charge()["pid"]
        os.kill(hung, signal.SIGSTOP)
        answer = baton.stop("--now")
        assert sockets.is_reset_by_peer(client)
    assert answer.seconds < 10
    assert not processes.is_alive(hung)


def test_after_stop_no_process_no_socket_file_and_no_listener_is_left(start, directory, address, echoer):
    unix = f"unix:{directory}/front.sock"
    baton = start(also(relay(address, echoer.address), "unix", unix))
    baton.reload()
    with sockets.connect(unix) as client:
        sockets.ask(client, b"x")
    pids = [baton.pid, *processes.children(baton.pid)]
    baton.stop()
    assert not any(processes.is_alive(pid) for pid in pids)
    assert not baton.control.exists() and not os.path.exists(unix[len("unix:"):])
    assert not sockets.accepts(address)
    assert baton.ask("status").code == NO_SUPERVISOR


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_with_a_drain(start, address, echoer, number):
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"before")
        baton.process.send_signal(number)
        wait_until(lambda: not sockets.accepts(address), 10, "nobody accepts any more")
        sockets.ask(client, b"after")
    assert baton.wait_gone() == 0


def test_a_second_signal_stops_at_once(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"before")
        baton.process.send_signal(signal.SIGTERM)
        baton.wait_generation(1, "draining")
        baton.process.send_signal(signal.SIGTERM)
        assert baton.wait_gone(5) == 0
        assert sockets.is_reset_by_peer(client)
    assert "with 1 connections left" in baton.log(), baton.log()


def test_hup_reloads_the_changed_configuration(start, address):
    baton = start(saying(address, "one\n"))
    baton.write(saying(address, "two\n"))
    baton.process.send_signal(signal.SIGHUP)
    baton.wait_generation(2, "serving")  # the signal may be noticed later than a question
    baton.wait_drained()  # until it has paused the first one accepts, too

    def says():
        with sockets.connect(address) as client:
            return sockets.read_all(client)

    assert says() == b"two\n"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE])
def test_other_signals_do_no_harm(start, address, echoer, number):
    baton = start(relay(address, echoer.address))
    baton.process.send_signal(number)
    with sockets.connect(address) as client:
        sockets.ask(client, b"still there")
    assert baton.in_charge()["id"] == 1


def signal_at_first_sight(baton, number):
    """When it has just claimed its control socket, long before it has a generation."""
    lock = baton.control.with_name(baton.control.name + ".lock")
    end = time.monotonic() + 10
    while not lock.exists():  # a pause between two looks is longer than the moment that is meant
        assert time.monotonic() < end and baton.process.poll() is None, baton.log()
    baton.process.send_signal(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_while_it_starts_stops_it_in_order(prepare, address, echoer, number):
    baton = prepare(relay(address, echoer.address))
    for _ in range(5):
        signal_at_first_sight(baton.launch(), number)
        assert baton.wait_gone() == 0, baton.log()
        assert not baton.control.exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_while_it_starts_do_no_harm(prepare, address, echoer, number):
    baton = prepare(relay(address, echoer.address))
    for _ in range(5):
        signal_at_first_sight(baton.launch(), number)
        wait_until(baton.in_charge, 10, lambda: f"it serves:\n{baton.log()}")
        baton.stop()


def test_a_generation_ignores_signals_meant_for_the_supervisor(start, address, echoer):
    baton = start(relay(address, echoer.address))
    pid = baton.in_charge()["pid"]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        processes.kill(pid, number)
    with sockets.connect(address) as client:
        sockets.ask(client, b"still there")
    assert baton.in_charge()["pid"] == pid


def test_a_second_supervisor_on_the_same_control_socket_is_refused(start, prepare, address, echoer):
    baton = start(relay(address, echoer.address))
    answer = run(SUPERVISOR, "run", "--control", baton.control, "--config", baton.config_path,
                 "--proxy", PROXY)
    assert answer.code == REFUSED and str(baton.pid) in answer.err, answer
    assert baton.in_charge()["id"] == 1  # and the first has not noticed


def test_a_stale_control_socket_is_taken_over(start, prepare, address, echoer):
    first = start(relay(address, echoer.address))
    generation = first.in_charge()["pid"]
    first.process.kill()
    first.process.wait()
    processes.kill(generation)
    wait_until(lambda: not processes.is_alive(generation), 5, "the old generation is gone")
    assert first.control.is_socket()
    assert first.ask("status").code == NO_SUPERVISOR
    first.start()
    assert first.in_charge()["id"] == 2  # numbers go on


def test_a_file_that_is_no_socket_is_not_replaced_by_a_control_socket(prepare, address):
    baton = prepare(saying(address, "x"))
    baton.control.write_text("precious")
    baton.launch()
    assert baton.wait_gone() != 0
    assert baton.control.read_text() == "precious"
    assert str(baton.control) in baton.log()


def test_the_control_socket_is_for_its_owner_only(start, address, echoer):
    baton = start(relay(address, echoer.address))
    assert baton.control.stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        copy = baton.directory / "supervisor"  # where nobody may run it
        shutil.copy(SUPERVISOR, copy)
        copy.chmod(0o755)
        answer = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy,
                     "status", "--control", baton.control)
        assert answer.code == REFUSED and answer.err, answer


def start_at_a_default_path(prepare, address, env):
    baton = prepare(saying(address, "x"), env=env)
    at = baton.command.index("--control")
    del baton.command[at:at + 2]
    return baton


def test_the_default_control_path_is_in_the_runtime_directory(prepare, address, directory):
    (directory / "runtime").mkdir()
    baton = start_at_a_default_path(prepare, address, {"RUNTIME_DIRECTORY": str(directory / "runtime")})
    baton.control = directory / "runtime" / "control.sock"
    baton.start()
    answer = run(SUPERVISOR, "status", "--json", env=baton.env)
    assert answer.code == DONE and json.loads(answer.out)["supervisor"]["pid"] == baton.pid, answer


def start_with_a_made_directory(prepare, address, made):
    baton = start_at_a_default_path(prepare, address, {"RUNTIME_DIRECTORY": str(made)})
    baton.control = made / "control.sock"
    return baton.start()


def test_the_directory_of_a_default_control_path_is_made_and_removed(prepare, address, directory):
    made = directory / "made"
    start_with_a_made_directory(prepare, address, made).stop()
    assert not made.exists()


def test_the_next_supervisor_removes_the_directory_that_a_killed_one_has_made(
        prepare, address, directory):
    made = directory / "made"
    baton = start_with_a_made_directory(prepare, address, made)
    for _ in range(2):
        baton.kill_supervisor()
        baton.start_again()
    baton.stop()
    assert not made.exists()


def test_a_state_that_was_set_aside_does_not_keep_a_made_directory(prepare, address, directory):
    made = directory / "made"
    baton = start_with_a_made_directory(prepare, address, made)
    baton.kill_supervisor()
    state = made / "control.sock.state"
    state.chmod(0o644)
    baton.launch()
    assert baton.wait_gone() == FAILED  # the generation has the address
    shutil.copyfile(f"{state}.unusable", state)
    state.chmod(0o600)
    baton.start_again()
    baton.stop()
    assert not made.exists()


def test_one_whose_files_were_removed_leaves_those_of_the_next_one_alone(
        start, prepare, address, another_address):
    first = start(saying(address, "first"))
    for path in first.directory.glob("control.sock*"):
        path.unlink()
    second = prepare(saying(another_address, "second"))
    second.use_control(first.control)
    generation = second.start().in_charge()["pid"]
    first.process.send_signal(signal.SIGHUP)
    first.wait_for_log("another supervisor has taken over")
    first.process.send_signal(signal.SIGTERM)
    assert first.wait_gone() == 0
    second.kill_supervisor()
    second.start_again()
    assert second.in_charge()["pid"] == generation
    second.stop()


def test_a_reload_at_another_moment_does_not_disturb_a_quiet_client(start, address, echoer):
    """A connection may be silent over several generations."""
    baton = start(relay(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"one")
        for _ in range(3):
            baton.reload()
        sockets.ask(client, b"two")


# --- the proxy by itself

def test_the_proxy_runs_alone_and_drains_on_term(directory, address, echoer):
    config = directory / "alone.toml"
    config.write_text(toml.dumps(**relay(address, echoer.address)))
    proxy = subprocess.Popen([PROXY, "--config", config], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: sockets.accepts(address), 10, "the proxy accepts")
        with sockets.connect(address) as client:
            sockets.ask(client, b"alone")
            for number in (signal.SIGHUP, signal.SIGUSR2):  # orders for a supervisor
                proxy.send_signal(number)
            sockets.ask(client, b"still alone")
            proxy.terminate()
            wait_until(lambda: not sockets.accepts(address), 10, "nobody accepts any more")
            sockets.ask(client, b"draining")
            assert proxy.poll() is None
        assert proxy.wait(10) == 0
    finally:
        proxy.kill()
        proxy.wait()


def test_the_proxy_alone_ends_at_once_while_it_warms_up(directory, address):
    config = directory / "alone.toml"
    check = {"type": "http", "path": "/", "interval": "1s", "timeout": "1m"}
    asked = threading.Event()

    def ask_and_wait(connection):
        asked.set()
        while connection.recv(1024):
            pass

    with Upstream(ask_and_wait) as upstream:
        tables = relay(address, upstream.address, cluster={"health_check": check})
        tables["proxy"]["warm_time"] = "1m"
        config.write_text(toml.dumps(**tables))
        proxy = subprocess.Popen([PROXY, "--config", config], stderr=subprocess.PIPE, text=True)
        try:
            assert asked.wait(10), "it warms up"
            proxy.terminate()
            _, log = proxy.communicate(timeout=10)
            assert proxy.returncode == 0 and "accept" not in log, log
        finally:
            proxy.kill()
            proxy.wait()


def test_the_proxy_alone_says_what_is_wrong_with_its_configuration(directory):
    config = directory / "bad.toml"
    config.write_text("[proxy]\nworkers = true\n")
    for arguments in (["--config", config], ["--check", "--config", config]):
        answer = run(PROXY, *arguments)
        assert answer.code == WRONG and f"{config}:2:" in answer.err, answer


@pytest.mark.parametrize("number", ["0", "-1", "3", "99999"])
def test_the_proxy_refuses_a_channel_that_is_none(number):
    answer = run(PROXY, "--channel-fd", number)
    assert answer.code == WRONG and "--channel-fd" in answer.err, answer


def test_the_proxy_alone_names_a_taken_address(directory, echoer):
    config = directory / "taken.toml"
    config.write_text(toml.dumps(**relay(echoer.address, "127.0.0.1:1")))
    answer = run(PROXY, "--config", config)
    assert answer.code == FAILED and echoer.address in answer.err, answer


def test_the_proxy_alone_leaves_no_socket_file_when_it_cannot_start(directory, echoer):
    config = directory / "taken.toml"
    tables = relay(f"unix:{directory}/front.sock", "127.0.0.1:1")
    config.write_text(toml.dumps(**also(tables, "taken", echoer.address)))
    answer = run(PROXY, "--config", config)
    assert answer.code == FAILED and echoer.address in answer.err, answer
    assert not (directory / "front.sock").exists()


def test_versions(start):
    supervisor, proxy = run(SUPERVISOR, "--version"), run(PROXY, "--version")
    assert supervisor.code == proxy.code == 0
    assert re.search(r"\d+\.\d+\.\d+", supervisor.out) and re.search(r"\d+\.\d+\.\d+", proxy.out)


def test_every_tool_the_tests_use_is_there():
    for name in ("nginx", "haproxy", "wrk", "psql", "redis-benchmark", "iperf3", "curl"):
        assert program(name)

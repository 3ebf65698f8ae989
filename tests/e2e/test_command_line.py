"""Flags, exit codes and what is printed: the design's section 7."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from harness import processes, sockets
from harness.baton import (DONE, FAILED, NEXT_PROXY, NO_SUPERVISOR, PROXY, REFUSED, SUPERVISOR, WRONG,
                           parse_metrics, run)
from harness.load import ShortClients
from harness.tables import also, relay, saying, staying
from harness.waiting import wait_until

SUBCOMMANDS = ["run", "reload", "rollback", "drain", "status", "stats", "stop", "check"]
FLAGS = {
    "run": ["--config", "--proxy", "--control", "--drain-time", "--drain-strategy", "--probation",
            "--log-level", "--log-format"],
    "reload": ["--config", "--proxy", "--control", "--drain-time", "--drain-strategy", "--probation",
               "--no-wait", "--wait-drained"],
    "rollback": ["--control"],
    "drain": ["--drain-time", "--control"],
    "status": ["--json", "--watch", "--control"],
    "stats": ["--json", "--prometheus", "--filter", "--control"],
    "stop": ["--drain-time", "--now", "--control"],
    "check": ["--config", "--proxy"],
}
PHASES = ["spawn", "negotiate", "inherit", "warm", "serve", "probation", "commit"]


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_help_names_every_flag_and_fits_one_screen(subcommand):
    answer = run(SUPERVISOR, subcommand, "--help")
    assert answer.code == 0, answer
    for flag in FLAGS[subcommand]:
        assert flag in answer.out, f"{flag} is missing:\n{answer.out}"
    lines = answer.out.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 100, answer.out


def test_the_programs_help_lists_the_subcommands():
    for arguments in (["--help"], ["-h"]):
        answer = run(SUPERVISOR, *arguments)
        assert answer.code == 0 and all(name in answer.out for name in SUBCOMMANDS), answer
        assert len(answer.out.splitlines()) <= 40


@pytest.mark.parametrize("arguments", [
    [],
    ["dance"],
    ["status", "--yaml"],
    ["reload", "--drain-time", "soon"],
    ["reload", "--drain-time", "-1s"],
    ["reload", "--drain-strategy", "brutal"],
    ["reload", "--no-wait", "--wait-drained"],
    ["drain"],
    ["stop", "--now", "--drain-time", "1s"],
    ["stats", "--json", "--prometheus"],
    ["run", "--log-level", "loud"],
    ["run", "--log-format", "xml"],
    ["run", "extra"],
    ["status", "--control", ""],
    ["run", "--control-group", "no such group"],
])
def test_wrong_usage_is_exit_2_with_a_word_on_standard_error(arguments, directory):
    answer = run(SUPERVISOR, *arguments, cwd=directory,
                 env={**os.environ, "RUNTIME_DIRECTORY": str(directory)})
    assert answer.code == WRONG and answer.err.strip(), answer


def test_a_word_that_is_no_subcommand_is_named():
    answer = run(SUPERVISOR, "dance")
    assert answer.code == WRONG and "dance" in answer.err, answer
    assert "subcommand" in run(SUPERVISOR).err


def test_an_empty_path_is_no_configuration():
    for arguments in ([SUPERVISOR, "check"], [PROXY, "--check"], [PROXY]):
        answer = run(*arguments, "--config", "")
        assert answer.code == WRONG and "--config: the path is empty" in answer.err, answer


def test_a_relative_path_without_a_directory_is_wrong_usage(directory):
    gone = directory / "gone"
    script = f'mkdir {gone}; cd {gone}; rmdir {gone}; exec "$@"'
    for arguments in (["check", "--config", "a.toml"], ["status", "--control", "a.sock"]):
        answer = run("sh", "-c", script, "sh", SUPERVISOR, *arguments)
        assert answer.code == WRONG and "current directory is not there" in answer.err, answer
        assert arguments[1] in answer.err and "filesystem" not in answer.err, answer


@pytest.mark.parametrize("arguments, allowed", [
    (["reload", "--probation", "61m"], "0s to 1h"),
    (["reload", "--probation", "-1s"], "0s to 1h"),
    (["reload", "--probation", "99999999999999999999d"], "0s to 1h"),
    (["reload", "--drain-time", "31d"], "0s to 30d"),
    (["run", "--probation", "2h"], "0s to 1h"),
    (["run", "--drain-time", "1e400s"], "0s to 30d"),
    (["stop", "--drain-time", "721h"], "0s to 30d"),
    (["drain", "--drain-time", "-0.001ms"], "0s to 30d"),
])
def test_durations_out_of_range_are_wrong_usage_that_names_the_range(arguments, allowed, directory):
    flag, value = arguments[1:]
    answer = run(SUPERVISOR, *arguments, "--control", directory / "control.sock")
    assert answer.code == WRONG, answer
    assert flag in answer.err and f'"{value}"' in answer.err and allowed in answer.err, answer


@pytest.mark.parametrize("line", ["probation = '61m'", "drain_time = '31d'"])
def test_a_flag_and_its_key_have_one_range(line, directory):
    (directory / "bad.toml").write_text(f"[supervisor]\n{line}\n")
    answer = run(SUPERVISOR, "check", "--config", directory / "bad.toml", "--proxy", PROXY)
    allowed = "0s to 1h" if "probation" in line else "0s to 30d"
    assert answer.code == WRONG and allowed in answer.err, answer


@pytest.mark.parametrize("arguments", [
    ["reload"], ["rollback"], ["drain", "--drain-time", "1s"], ["status"], ["status", "--json"],
    ["stats"], ["stop"]])
def test_without_a_supervisor_every_question_is_exit_3(arguments, directory):
    answer = run(SUPERVISOR, *arguments, "--control", directory / "nobody.sock")
    assert answer.code == NO_SUPERVISOR and str(directory / "nobody.sock") in answer.err, answer


def test_a_control_path_too_long_for_a_socket_is_explained(directory):
    path = directory / ("x" * 120)
    for arguments in (["status"], ["run"]):
        answer = run(SUPERVISOR, *arguments, "--control", path)
        assert answer.code in (FAILED, WRONG) and answer.err.strip(), answer


def test_a_mistyped_control_directory_is_an_error_not_a_new_directory(directory):
    answer = run(SUPERVISOR, "run", "--control", directory / "rnu" / "control.sock")
    assert answer.code == FAILED and str(directory / "rnu") in answer.err, answer
    assert not (directory / "rnu").exists()


# --- status

def test_status_json_has_exactly_the_contracts_members(start, address, echoer):
    baton = start(relay(address, echoer.address))
    before = baton.status()
    assert set(before) >= {"supervisor", "generations"} and before.get("last_reload") is None
    baton.reload()
    status = baton.status()
    assert set(status) == {"supervisor", "generations", "reload_in_progress", "last_reload",
                           "note"}
    assert status["reload_in_progress"] is None
    assert set(status["supervisor"]) == {"pid", "version", "started"}
    assert status["supervisor"]["pid"] == baton.pid
    row = next(g for g in status["generations"] if g["state"] == "serving")
    assert set(row) == {"id", "pid", "state", "version", "binary", "config", "started", "listeners",
                        "connections", "moved_in", "moved_out", "drain_deadline"}
    assert row["id"] == 2 and row["binary"] == str(PROXY) and row["config"] == str(baton.config_path)
    assert row["drain_deadline"] is None and row["connections"] == 0
    assert any(address in listener or "front" in listener for listener in row["listeners"]), row
    last = status["last_reload"]
    assert set(last) == {"ok", "from", "to", "reason", "phases", "moves"}
    assert last["ok"] is True and (last["from"], last["to"]) == (1, 2)
    assert [phase["name"] for phase in last["phases"]][:len(PHASES)] == PHASES
    assert all(set(phase) == {"name", "ms"} and phase["ms"] >= 0 for phase in last["phases"])


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["stats", "--prometheus"]])
def test_an_answer_that_cannot_be_written_is_a_failure(start, address, echoer, command):
    baton = start(relay(address, echoer.address))
    with open("/dev/full", "w") as full:
        done = subprocess.run([SUPERVISOR, *command, "--control", baton.control], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == FAILED and "No space left" in done.stderr, done


@pytest.mark.parametrize("command", [
    [SUPERVISOR, "--version"], [SUPERVISOR, "--help"], [SUPERVISOR, "run", "--help"], [PROXY, "--version"],
    [PROXY, "--help"], [SUPERVISOR, "check", "--proxy", PROXY]])
def test_what_cannot_be_written_is_a_failure_without_a_supervisor_too(command):
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == FAILED and "No space left" in done.stderr, done


def test_status_counts_the_connections_of_each_generation(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as one, sockets.connect(address) as two:
        sockets.ask(one, b"1")
        sockets.ask(two, b"2")
        baton.reload()
        with sockets.connect(address) as three:
            sockets.ask(three, b"3")
            wait_until(lambda: {g["id"]: (g["state"], g["connections"])
                                for g in baton.generations().values()}
                       == {1: ("draining", 2), 2: ("serving", 1)}, 5, baton.generations)
            assert baton.generations()[1]["drain_deadline"] is not None


def test_status_in_plain_words_names_what_matters(start, address, echoer):
    baton = start(relay(address, echoer.address))
    text = baton.do("status").out
    assert "serving" in text and str(baton.in_charge()["pid"]) in text, text


def test_status_shows_a_reload_in_progress(start, address, echoer):
    baton = start(relay(address, echoer.address))
    baton.reload("--no-wait", "--probation", "1h")
    # It returns when the new generation serves; probation begins when the one before has paused.
    assert baton.status()["reload_in_progress"]["phase"] in ("serve", "probation")
    reload = baton.wait_phase("probation")
    assert set(reload) == {"from", "to", "phase", "phase_ms", "elapsed_ms", "left_ms"}
    assert (reload["from"], reload["to"], reload["phase"]) == (1, 2, "probation")
    assert 0 <= reload["phase_ms"] <= reload["elapsed_ms"] < 60_000
    assert 3_500_000 < reload["left_ms"] <= 3_600_000
    text = baton.do("status").out
    assert re.search(r"reload in progress, \d+s so far: generation 1 to 2: probation, for \d+s, "
                     r"(1h|3\d\d\ds) left", text), text
    baton.do("rollback")
    assert baton.status()["reload_in_progress"] is None


def test_status_watch_goes_on_until_it_is_interrupted(start, address, echoer):
    baton = start(relay(address, echoer.address))
    watching = baton.ask_in_background("status", "--watch")
    seen = b""
    try:
        end = time.monotonic() + 10
        while seen.count(b"serving") < 2:
            assert select.select([watching.stdout], [], [], end - time.monotonic())[0], seen
            seen += os.read(watching.stdout.fileno(), 1 << 16)
        watching.send_signal(signal.SIGINT)
        watching.wait(5)
    finally:
        watching.kill()
        watching.communicate()


# --- stats

def test_stats_speak_prometheus_and_json_and_plain_text(start, address, echoer):
    baton = start(relay(address, echoer.address))
    with sockets.connect(address) as client:
        sockets.ask(client, b"12345")
    text = baton.do("stats", "--prometheus").out
    for kind in ("counter", "gauge", "histogram"):
        assert re.search(rf"^# TYPE \w+ {kind}$", text, re.MULTILINE), text
    assert re.search(r"^# HELP baton_listener_connections_total .+$", text, re.MULTILINE)
    metrics = parse_metrics(text)
    key = ("baton_listener_connections_total", (("listener", "front"),))
    assert metrics[key] == 1
    assert "baton_listener_connections_total" in json.dumps(json.loads(baton.do("stats", "--json").out))
    assert "baton_listener_connections_total" in baton.do("stats").out
    for name in {name for name, _ in metrics}:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert f"# TYPE {name} " in text or f"# TYPE {base} " in text, name


def test_a_histograms_buckets_add_up(start, address, liner):
    baton = start(relay(address, liner.address))
    with ShortClients(address, clients=2) as load:
        load.wait_for_more(20)
    total = load.stop().completed
    wait_until(lambda: baton.metric("baton_listener_connections_active") == 0, 5, "all have ended")
    metrics = baton.metrics("--filter", "baton_upstream_connect_seconds")
    buckets = sorted((float(dict(labels)["le"].replace("+Inf", "inf")), value)
                     for (name, labels), value in metrics.items() if name.endswith("_bucket"))
    count = next(v for (name, _), v in metrics.items() if name.endswith("_count"))
    values = [value for _, value in buckets]
    assert buckets[-1][0] == float("inf") and values[-1] == count == total
    assert values == sorted(values)


def test_stats_filter_takes_a_regular_expression(start, address, echoer):
    baton = start(relay(address, echoer.address))
    names = {name for name, _ in baton.metrics("--filter", "received_bytes|sent_bytes")}
    assert names and all("_bytes" in name for name in names), names
    bad = baton.ask("stats", "--filter", "(")
    assert bad.code in (FAILED, WRONG) and bad.err.strip(), bad


def test_the_admin_listener_serves_the_same_metrics_and_readiness(start, address, another_address, echoer):
    baton = start(relay(address, echoer.address, admin=another_address))
    for _ in range(2):
        scraped = parse_metrics(run("curl", "-sS", f"http://{another_address}/metrics").out)
        assert ("baton_listener_connections_total", (("listener", "front"),)) in scraped
        ready = run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
                    f"http://{another_address}/ready")
        assert ready.out == "200"
        baton.reload()


# --- reload

def test_reload_prints_each_phase_with_its_duration(start, address, echoer):
    baton = start(relay(address, echoer.address))
    text = baton.reload().out
    at = [text.find(phase) for phase in PHASES]
    assert -1 not in at and at == sorted(at), text
    assert len(re.findall(r"\d+(?:\.\d+)? ?ms", text)) >= len(PHASES), text


def test_reload_no_wait_returns_once_new_serves(start, address, echoer):
    baton = start(relay(address, echoer.address))
    answer = baton.reload("--no-wait", "--probation", "30s", seconds=10)
    assert answer.seconds < 10
    states = {number: row["state"] for number, row in baton.generations().items()}
    assert states == {1: "paused", 2: "serving"}


def test_reload_wait_drained_returns_once_old_has_gone(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"x")
        waiting = baton.ask_in_background("reload", "--wait-drained")
        baton.wait_generation(1, "draining")
        assert waiting.poll() is None
    assert waiting.wait(10) == DONE
    waiting.communicate()
    assert list(baton.generations()) == [2]


def test_reload_says_what_has_moved_and_what_is_left(start, address, another_address, echoer):
    tables = also(relay(address, echoer.address, supervisor={"drain_time": "1h"}), "gone", another_address)
    baton = start(tables)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(sockets.connect(each)) for each in [address] * 5 + [another_address] * 2]
        for client in clients:
            sockets.ask(client, b"x")
        assert baton.reload().out.endswith("generation 2 is in charge\n7 connections moved, 0 left\n")
        baton.write({**tables, "listener": tables["listener"][:1]})
        text = baton.reload().out
        assert text.endswith("generation 3 is in charge\n5 connections moved, 2 left (rejected: 2 no_listener)\n")
        wait_until(lambda: baton.generations()[3]["moved_in"] == 5, 5, baton.generations)
        rows = baton.generations()
        assert rows[2]["moved_in"] == 7 and rows[2]["moved_out"] == 5
        moves = baton.status()["last_reload"]["moves"]
        assert moves == {"moved": 5, "left": 2, "rejected": {"no_listener": 2}, "cut": 0, "lost": 0}
        assert "\n  5 connections moved, 2 left (rejected: 2 no_listener)\n" in baton.ask("status").out
        # Those are offered to this one as well. Only what it rejects itself counts.
        text = baton.reload("--wait-drained").out
        assert text.endswith("5 connections moved, 2 left (rejected: 2 no_listener)\n"), text


def test_a_stop_answers_who_waits_to_hear_from_an_older_generation(start, address, another_address, echoer):
    tables = also(relay(address, echoer.address, supervisor={"drain_time": "1h"}), "gone", another_address)
    baton = start(tables)
    with sockets.connect(another_address) as client:
        sockets.ask(client, b"x")
        baton.write({**tables, "listener": tables["listener"][:1]})
        baton.reload()
        os.kill(baton.wait_generation(1, "draining")["pid"], signal.SIGSTOP)
        waiting = baton.ask_in_background("reload", "--wait-drained")
        baton.wait_generation(3, "serving")
        wait_until(lambda: 2 not in baton.generations(), 10, baton.generations)
        baton.stop("--now")
        out, errors = waiting.communicate(timeout=20)
    assert waiting.returncode == DONE, (out, errors)
    assert out.endswith("generation 3 is in charge\n0 connections moved, 1 left\n"), out


def test_a_reload_that_ends_with_a_stop_says_so(start, address, echoer):
    baton = start(relay(address, echoer.address))
    reload = baton.ask_in_background("reload", "--probation", "1h")
    baton.wait_generation(2, "serving")
    baton.stop()
    assert reload.wait(10) == FAILED
    assert reload.communicate()[1].endswith("the reload has failed: the supervisor is stopping\n")


def test_reload_says_what_was_cut_and_what_was_lost(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with contextlib.ExitStack() as stack:
        def connect(count):
            clients = [stack.enter_context(sockets.connect(address)) for _ in range(count)]
            for client in clients:
                sockets.ask(client, b"x")

        connect(3)
        text = baton.reload("--wait-drained", "--drain-time", "100ms").out
        assert text.endswith("0 connections moved, 0 left, 3 cut at the drain deadline\n")
        connect(2)
        waiting = baton.ask_in_background("reload", "--wait-drained")
        processes.kill(baton.wait_generation(2, "draining")["pid"])
        assert waiting.communicate(timeout=20)[0].endswith(
            "0 connections moved, 0 left, 2 lost with their process\n")
        moves = {"moved": 0, "left": 0, "rejected": {}, "cut": 0, "lost": 2}
        assert baton.status()["last_reload"]["moves"] == moves
        assert baton.ask("upgrade").code == DONE
        assert baton.status()["last_reload"]["moves"] == moves


def test_reload_in_a_terminal_draws_phases_and_a_bar_for_the_drain(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"x")
        ours, theirs = pty.openpty()
        reload = subprocess.Popen(
            [SUPERVISOR, "reload", "--wait-drained", "--control", baton.control],
            stdin=theirs, stdout=theirs, stderr=theirs, env={**baton.env, "TERM": "xterm"})
        os.close(theirs)
        shown = b""
        try:
            baton.wait_generation(1, "draining")
            end = time.monotonic() + 10
            while b"\rdrain" not in shown.replace(b"\x1b[K", b""):  # the bar, over the line before
                assert select.select([ours], [], [], max(0, end - time.monotonic()))[0], shown
                shown += os.read(ours, 1 << 16)
            client.close()
            assert reload.wait(10) == DONE
        finally:
            reload.kill()
            reload.wait()
            os.close(ours)
    assert all(phase.encode() in shown for phase in PHASES), shown


def test_a_client_that_goes_away_does_not_abort_its_reload(start, address, echoer):
    baton = start(relay(address, echoer.address, supervisor={"probation": "1s"}))
    waiting = baton.ask_in_background("reload")
    baton.wait_generation(2, "serving")
    waiting.kill()
    waiting.communicate()
    baton.wait_generation(1, "gone")
    assert baton.status()["last_reload"]["ok"] is True


def test_flags_of_a_reload_win_over_the_file(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"probation": "1h", "drain_time": "1h"}))
    with sockets.connect(address) as client:
        sockets.ask(client, b"x")
        baton.reload("--probation", "0s", "--drain-time", "100ms", "--wait-drained")
        assert sockets.is_closed_by_peer(client)


def test_flags_of_run_win_over_the_file(start, address, echoer):
    baton = start(staying(address, echoer.address, supervisor={"probation": "1h", "drain_time": "1h"}),
                  arguments=["--probation", "10ms", "--drain-time", "100ms"])
    with sockets.connect(address) as client:
        sockets.ask(client, b"x")
        baton.reload("--wait-drained")
        assert sockets.is_closed_by_peer(client)


def test_reload_takes_another_binary_and_configuration_and_keeps_them(start, address):
    baton = start(saying(address, "one\n"))
    other = baton.write(saying(address, "two\n"), "other.toml")
    baton.reload("--proxy", NEXT_PROXY, "--config", other)
    row = baton.in_charge()
    assert row["binary"] == str(NEXT_PROXY) and row["config"] == str(other)
    baton.reload()
    row = baton.in_charge()
    assert (row["id"], row["binary"], row["config"]) == (3, str(NEXT_PROXY), str(other))


def test_the_version_shown_is_the_version_that_runs(start, address):
    baton = start(saying(address, "%VERSION%"))
    seen = set()
    for proxy in (PROXY, NEXT_PROXY):
        baton.reload("--proxy", proxy)
        with sockets.connect(address) as client:
            said = sockets.read_all(client).decode()
        version = baton.in_charge()["version"]
        assert version == said and version in run(proxy, "--version").out
        seen.add(version)
    assert len(seen) == 2


def test_relative_paths_are_the_callers(start, address):
    baton = start(saying(address, "one\n"))
    (baton.directory / "sub").mkdir()
    baton.write(saying(address, "two\n"), "sub/relative.toml")
    answer = run(SUPERVISOR, "reload", "--control", "../control.sock", "--config", "relative.toml",
                 cwd=baton.directory / "sub")
    assert answer.code == DONE, answer
    assert baton.in_charge()["config"] == str(baton.directory / "sub" / "relative.toml")


# --- check, drain, rollback: refusals in words

def test_check_judges_without_touching_anything(start, address, directory):
    baton = start(saying(address, "one\n"))
    good = baton.write(saying(address, "two\n"), "good.toml")
    bad = baton.write("[proxy]\nworkers = 'many'\n", "bad.toml")
    assert run(SUPERVISOR, "check", "--config", good, "--proxy", PROXY).code == DONE
    assert run(SUPERVISOR, "check", "--config", good, "--proxy", PROXY,
               "--control", "/nobody/there").code == DONE
    answer = run(SUPERVISOR, "check", "--config", bad, "--proxy", PROXY)
    assert answer.code == WRONG and f"{bad}:2:" in answer.err, answer
    assert baton.in_charge()["id"] == 1


def test_drain_with_nothing_draining_fails_in_words(start, address, echoer):
    baton = start(relay(address, echoer.address))
    answer = baton.ask("drain", "--drain-time", "1s")
    assert answer.code == FAILED and "drain" in answer.err, answer


def test_rollback_with_nothing_to_go_back_to_fails_in_words(start, address, echoer):
    baton = start(relay(address, echoer.address))
    answer = baton.ask("rollback")
    assert answer.code == FAILED and answer.err.strip(), answer
    assert baton.in_charge()["id"] == 1


def test_rollback_to_what_a_killed_supervisor_had_kept_says_that_it_is_lost(start, address):
    baton = start(saying(address, "one"))
    baton.reload("--wait-drained")
    baton.kill_supervisor()
    baton.start_again()
    answer = baton.ask("rollback")
    assert answer.code == FAILED and "what ran before was lost" in answer.err, answer
    assert baton.in_charge()["id"] == 2


def test_a_second_reload_meanwhile_is_refused(start, address, echoer):
    baton = start(relay(address, echoer.address))
    baton.reload("--no-wait", "--probation", "1h")
    answer = baton.ask("reload")
    assert answer.code == REFUSED and answer.err.strip(), answer
    baton.do("rollback")
    baton.reload()


def test_rollback_ends_a_probation(start, address):
    baton = start(saying(address, "one\n"))
    other = baton.write(saying(address, "two\n"), "other.toml")
    reload = baton.ask_in_background("reload", "--config", other, "--probation", "1h")
    baton.wait_generation(2, "serving")
    answer = baton.ask("rollback")
    assert answer.code == DONE and "generation 1 is in charge" in answer.out, answer
    _, err = reload.communicate(timeout=10)
    assert reload.returncode == FAILED and "rolled back by request" in str(err), err
    with sockets.connect(address) as client:
        assert sockets.read_all(client) == b"one\n"
    baton.reload()  # the path is the one in charge's again
    assert baton.in_charge()["config"] == str(baton.config_path)


def test_json_logs_are_one_object_a_line(start, address, echoer):
    baton = start(relay(address, echoer.address), arguments=["--log-format", "json"])
    baton.reload("--wait-drained")
    lines = baton.log().splitlines()
    assert lines and all(isinstance(json.loads(line), dict) for line in lines)


def test_json_logs_are_utf_8_whatever_a_path_holds(start, address, echoer):
    baton = start(relay(address, echoer.address), arguments=["--log-format", "json"])
    latin = baton.write(relay(address, echoer.address), os.fsdecode(b"caf\xe9.toml"))
    baton.reload("--config", latin)
    lines = [json.loads(line) for line in baton.log_path.read_bytes().decode().splitlines()]
    assert any("caf\ufffd.toml" in line["message"] for line in lines), lines


def test_log_level_off_is_silent(start, address, echoer):
    baton = start(relay(address, echoer.address), arguments=["--log-level", "off"])
    baton.reload("--wait-drained")
    assert baton.log() == ""

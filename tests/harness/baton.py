"""One supervisor under test, with its generations, its command line and what must hold at its end."""

import json
import os
import re
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from . import processes, toml
from .waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BATON_BUILD", ROOT / "build"))
SUPERVISOR = BUILD / "supervisor" / "supervisor"
PROXY = BUILD / "proxy" / "proxy"
NEXT_PROXY = BUILD / "tests" / "variants" / "proxy-next"
OTHER_LAYOUT_PROXY = BUILD / "tests" / "variants" / "proxy-other-layout"
LISTENERS_ONLY_PROXY = BUILD / "tests" / "variants" / "proxy-listeners-only"
FORBIDDEN_PROXY = BUILD / "tests" / "variants" / "proxy-forbidden"
WITHOUT_FOLLOW_PROXY = BUILD / "tests" / "variants" / "proxy-without-follow"
CRASHING_PROXY = BUILD / "tests" / "variants" / "proxy-crashing"

DONE, FAILED, WRONG, NO_SUPERVISOR, REFUSED = 0, 1, 2, 3, 4  # exit codes
PATIENCE = 20.0
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass
class Answer:
    """What one command said."""

    code: int
    out: str
    err: str
    seconds: float

    def __str__(self):
        return f"exit {self.code} after {self.seconds:.3f} s\n--- out\n{self.out}--- err\n{self.err}"


def run(*command, env=None, cwd=None, seconds=PATIENCE):
    begin = time.monotonic()
    done = subprocess.run(
        [str(word) for word in command], env=env, cwd=cwd, timeout=seconds, text=True,
        stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)


def parse_metrics(text):
    """Prometheus text -> {(name, ((label, value), ...)): number}, labels sorted."""
    metrics = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        sample = SAMPLE.match(line)
        assert sample, f"not a sample: {line!r}"
        key = (sample[1], tuple(sorted(LABEL.findall(sample[2] or ""))))
        assert key not in metrics, f"{key} is there twice"
        metrics[key] = float(sample[3])
    return metrics


def describe(pids):
    def words(pid):
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except FileNotFoundError:
            return "gone"

    return {pid: words(pid) for pid in pids}


class Baton:
    """`supervisor run` in a directory of its own. Not started by the constructor."""

    def __init__(self, directory, config=None, *, proxy=PROXY, arguments=(), env=None, wrapper=(),
                 pass_fds=()):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.control = self.directory / "control.sock"
        self.log_path = self.directory / "log"
        self.config_path = self.write(config) if config is not None else None
        self.marker = f"BATON_TEST_RUN={uuid.uuid4().hex}"
        name, value = self.marker.split("=")
        self.env = {**os.environ, name: value, **(env or {})}
        for leaked in ("NOTIFY_SOCKET", "LISTEN_FDS", "RUNTIME_DIRECTORY"):
            if leaked not in (env or {}):
                self.env.pop(leaked, None)
        self.command = [*wrapper, SUPERVISOR, "run", "--control", self.control, *arguments]
        if self.config_path is not None:
            self.command += ["--config", self.config_path]
        if proxy is not None:
            self.command += ["--proxy", proxy]
        self.pass_fds = pass_fds
        self.process = None

    def use_control(self, path):
        self.command[self.command.index(self.control)] = path
        self.control = path

    # --- configuration

    def write(self, tables, name="baton.toml"):
        """Stores a configuration, given as text or as tables, as one whole file; returns its path."""
        text = tables if isinstance(tables, str) else toml.dumps(**tables)
        path = self.directory / name
        new = path.with_suffix(".new")
        new.write_text(text)
        new.rename(path)
        return path

    # --- life

    def launch(self):
        """Starts the process and waits for nothing."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in self.command], env=self.env, cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=self.pass_fds)
        return self

    def start(self):
        """Starts, and returns once a generation serves."""
        self.launch()
        wait_until(self._is_ready, PATIENCE, lambda: f"ready; log:\n{self.log()}")
        return self

    def _is_ready(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}"
        return self.control.exists() and self.in_charge() is not None

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for_log(self, text, seconds=PATIENCE):
        wait_until(lambda: text in self.log(), seconds, lambda: f"{text!r} in the log:\n{self.log()}")

    def wait_gone(self, seconds=PATIENCE):
        """The exit status of the supervisor, once it has ended by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s; log:\n{self.log()}") from None

    def kill_supervisor(self):
        """kill -9; its generations live on."""
        self.process.kill()
        self.process.wait()

    def start_again(self):
        """After kill_supervisor(): another one on the same control socket, which must serve."""
        return self.start()

    # --- the command line

    def ask(self, subcommand, *arguments, seconds=PATIENCE):
        return run(SUPERVISOR, subcommand, "--control", self.control, *arguments,
                   env=self.env, cwd=self.directory, seconds=seconds)

    def ask_in_background(self, subcommand, *arguments):
        return subprocess.Popen(
            [str(word) for word in (SUPERVISOR, subcommand, "--control", self.control, *arguments)],
            env=self.env, cwd=self.directory, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def do(self, subcommand, *arguments, seconds=PATIENCE):
        """ask(), where anything but success is this test's failure."""
        answer = self.ask(subcommand, *arguments, seconds=seconds)
        assert answer.code == DONE, f"{subcommand} {arguments}: {answer}\n--- log\n{self.log()}"
        return answer

    def reload(self, *arguments, seconds=PATIENCE):
        return self.do("reload", *arguments, seconds=seconds)

    def status(self):
        return json.loads(self.do("status", "--json").out)

    def generations(self):
        """Those that live, by number."""
        return {each["id"]: each for each in self.status()["generations"] if each["state"] != "exited"}

    def in_charge(self):
        """The generation that serves, or None; before a supervisor answers at all: None."""
        answer = self.ask("status", "--json")
        if answer.code != DONE:
            return None
        serving = [g for g in json.loads(answer.out)["generations"] if g["state"] == "serving"]
        return serving[-1] if serving else None

    def wait_generation(self, number, state, seconds=PATIENCE):
        """Its row of `status`, once it is in that state; state "gone": it is in no list any more."""

        def look():
            row = self.generations().get(number)
            return row is None if state == "gone" else row and row["state"] == state and row

        return wait_until(look, seconds,
                          lambda: f"generation {number} {state}: {self.generations()}\n{self.log()}")

    def wait_phase(self, name, seconds=PATIENCE):
        """Until the reload in progress is in that phase. Returns what `status` says of it."""

        def look():
            reload = self.status()["reload_in_progress"]
            return reload and reload["phase"] == name and reload

        return wait_until(look, seconds, lambda: f"phase {name}: {self.status()}\n{self.log()}")

    def wait_paused(self, number):
        """It accepts no more: `status` calls it paused as soon as it is told to, and it accepts until it
        has obeyed, which is when the probation begins. Returns its row of `status`."""
        row = self.wait_generation(number, "paused")
        self.wait_phase("probation")
        return row

    def freeze(self, pid):
        """Suspends that process, and the supervisor first, which would kill it within a second."""
        processes.suspend(self.pid)
        processes.suspend(pid)

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def wait_drained(self, seconds=PATIENCE, moved_in=0):
        """Until one generation is all that is left, to which so many connections have moved.

        It may have them a moment after the one that sent them has ended. Returns its row.
        """

        def look():
            rows = list(self.generations().values())
            drained = len(rows) == 1 and rows[0]["state"] == "serving"
            return drained and rows[0]["moved_in"] >= moved_in and rows[0]

        return wait_until(look, seconds, lambda: f"one generation: {self.generations()}\n{self.log()}")

    def metrics(self, *arguments):
        return parse_metrics(self.do("stats", "--prometheus", *arguments).out)

    def metric(self, name, **labels):
        """The sum over the samples of that name whose labels include these."""
        return sum(value for (each, its), value in self.metrics().items()
                   if each == name and set(labels.items()) <= set(its))

    # --- the end

    def stop(self, *arguments, seconds=PATIENCE):
        answer = self.do("stop", *arguments, seconds=seconds)
        assert self.wait_gone() == 0, self.log()
        return answer

    def check_nothing_is_left(self):
        """No process, no socket, no zombie of ours once the supervisor has ended in order."""
        wait_until(lambda: not processes.marked(self.marker), 5,
                   lambda: f"processes are left: {describe(processes.marked(self.marker))}")
        left = [p for p in self.directory.rglob("*") if p.is_socket()]
        assert not left, f"sockets are left: {left}"

    def clean_up(self):
        """Ends whatever still runs, however the test went."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)  # the second: at once
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in processes.marked(self.marker):
            processes.kill(pid)

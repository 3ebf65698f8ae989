"""baton.service in a systemd of the test's own."""

import json
import re
from pathlib import Path

from . import http, tables, toml
from .ports import free_port
from .systemd import PATIENCE
from .waiting import wait_until

UNIT = "baton.service"
EARLY = "baton-stop-early.service"
CONFIG_OF = re.compile(r"--config (\S+)")
# Timeouts that a test can wait for; the unit's own are for operators.
QUICK = """[Service]
TimeoutStopSec=2
WatchdogSec=4
TimeoutAbortSec=1
"""


class Service:
    """The unit, with a configuration of the test's."""

    def __init__(self, systemd):
        self.systemd = systemd
        self.unit_path = Path(systemd.show(UNIT, "FragmentPath"))
        text = systemd.do("cat", self.unit_path)
        self.config = CONFIG_OF.search(text)[1]
        self.command = re.search(r"^ExecStart=(\S+)", text, re.M)[1]
        self.address = f"127.0.0.1:{free_port()}"
        self.configure()

    def configure(self, text=None, access_log=None, workers=2, drain_time="5s",
                  probation="100ms", body="generation %GENERATION%"):
        said = {"status": 200, "body": body}
        listener = {"access_log": {"path": access_log}} if access_log else None
        usual = tables.web(self.address, routes=[{"direct_response": said}], listener=listener,
                           workers=workers, supervisor={"drain_time": drain_time, "probation": probation})
        self.systemd.write(self.config, text or toml.dumps(**usual))

    def drop_in(self, text, unit=UNIT):
        self.systemd.write(f"/run/systemd/system/{unit}.d/50-test.conf", text)
        self.systemd.do("systemctl", "daemon-reload")

    def start(self):
        done = self.systemd.run("systemctl", "start", UNIT)
        assert done.code == 0, f"{done}\n{self.log()}"
        # It starts behind the unit, and behind a reload of it that is asked for before systemd has come to that;
        # what such a reload's stop leaves is swept, but the unit has failed.
        wait_until(lambda: self.systemd.run("systemctl", "is-active", EARLY).code == 0, PATIENCE, f"{EARLY} is active")

    def ask(self, command, *arguments):
        return self.systemd.run(self.command, command, "--control", "/run/baton/control.sock", *arguments)

    def status(self):
        done = self.ask("status", "--json")
        assert done.code == 0, f"{done}\n{self.log()}"
        return json.loads(done.out)

    def show(self, name):
        return self.systemd.show(UNIT, name)

    def pid(self):
        return int(self.show("MainPID"))

    def processes(self):
        return self.systemd.processes(UNIT)

    def log(self):
        return self.systemd.journal(UNIT)

    def wait_for_log(self, text):
        """The journal takes what a program writes a moment later."""
        self.wait_until(lambda: text in self.log(), f"logged: {text}")

    def answer(self):
        return http.ask(self.address).body.decode()

    def signal(self, pid, name):
        self.systemd.do("kill", "-s", name, str(pid))

    def wait_until(self, predicate, what):
        return wait_until(predicate, PATIENCE, lambda: f"{what}\n{self.log()}")

    def clean_up(self):
        self.systemd.run("systemctl", "stop", UNIT, "baton.socket")
        self.systemd.run("systemctl", "kill", "-s", "KILL", "--kill-whom=all", UNIT)
        self.systemd.run("rm", "-rf", f"/run/systemd/system/{UNIT}.d", "/run/systemd/system/baton.socket")
        self.systemd.do("systemctl", "daemon-reload")
        self.systemd.run("systemctl", "reset-failed", UNIT)
        # What a stop leaves behind to be swept is done, so that it is not done to the next test.
        wait_until(lambda: "No jobs" in self.systemd.run("systemctl", "list-jobs").out, PATIENCE, "no jobs are left")

"""A real systemd of the test's own, with Baton installed in it as a service.

It runs in namespaces on an overlay of this machine's root (tests/with-systemd): whatever is installed
or written there is gone afterwards. The network is this machine's. Run as a program, this file is
the agent within: it executes what it is told, one command at a time.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BATON_BUILD", ROOT / "build"))
WITH_SYSTEMD = ROOT / "tests" / "with-systemd"
NEEDED = ("/lib/systemd/systemd", "dbus-daemon", "pgrep", "unshare", "nsenter")
PATIENCE = 30


def why_not():
    """Why there can be none here; nothing: there can."""
    if os.geteuid() != 0:
        return "a systemd of one's own needs root"
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    return f"not installed: {' '.join(missing)}" if missing else None


class Done:
    """What a command said."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit {self.code}\n--- out\n{self.out}--- err\n{self.err}"


class Systemd:
    """One booted systemd. Give it a directory that both sides see, for what is installed."""

    def __init__(self, shared):
        self.shared = Path(shared)
        self.process = subprocess.Popen(
            [WITH_SYSTEMD, sys.executable, "-u", __file__], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "KEEP": f"{ROOT}:{BUILD}:{shared}"})
        assert self.run("systemctl", "is-system-running", "--wait").out

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def run(self, *command, stdin=None, seconds=PATIENCE):
        request = {"command": [str(word) for word in command], "stdin": stdin, "seconds": seconds}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "systemd is gone"
        return Done(**json.loads(answer))

    def do(self, *command, **options):
        """run(), where anything but success is this test's failure; returns what was printed."""
        done = self.run(*command, **options)
        assert done.code == 0, f"{command}: {done}"
        return done.out

    def write(self, path, text):
        self.do("install", "-D", "-m", "644", "/dev/stdin", path, stdin=text)

    def install_baton(self):
        """As `meson install` does, with the paths of this build."""
        stage = self.shared / "stage"
        subprocess.run(["/usr/bin/meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", stage],
                       check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
        self.do("cp", "-a", f"{stage}/.", "/")
        self.do("systemd-sysusers")
        self.do("systemctl", "daemon-reload")

    def show(self, unit, name):
        return self.do("systemctl", "show", "--value", "--property", name, unit).strip()

    def processes(self, unit):
        """Those of a unit's control group, as process ids within."""
        path = f"/sys/fs/cgroup/system.slice/{unit}/cgroup.procs"
        return [int(pid) for pid in self.run("cat", path).out.split()]

    def journal(self, unit, *options):
        return self.do("journalctl", "--no-pager", "--output", "cat", "--unit", unit, *options)


def serve():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            done = subprocess.run(
                request["command"], input=request["stdin"] or "", text=True, capture_output=True,
                timeout=request["seconds"], check=False)
            answer = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
        except (OSError, subprocess.TimeoutExpired) as error:
            answer = {"code": 255, "out": "", "err": str(error)}
        print(json.dumps(answer))


if __name__ == "__main__":
    serve()

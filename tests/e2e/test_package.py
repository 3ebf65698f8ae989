"""The Debian package under a real systemd: installed, upgraded under load, removed, purged.

Of BATON_PACKAGE, a .deb as scripts/package makes it; building one takes too long for every run.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness.load import Wrk
from harness.service import UNIT, Service
from harness.systemd import Systemd, why_not

PACKAGE = os.environ.get("BATON_PACKAGE")
pytestmark = [
    pytest.mark.skipif(PACKAGE is None, reason="BATON_PACKAGE names no package"),
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]


@pytest.fixture
def shared():
    with tempfile.TemporaryDirectory(prefix="baton-package-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def systemd(shared):
    systemd = Systemd(shared)
    # A machine that tests are set up on may keep packages from starting their services.
    systemd.do("rm", "-f", "/usr/sbin/policy-rc.d")
    yield systemd
    systemd.close()


def with_version(package, version, directory):
    """The same package, as another version of itself."""
    tree = directory / version
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True, timeout=60)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.M))
    result = directory / f"baton-{version}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, result], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
    return result


def install(systemd, package):
    done = systemd.run("dpkg", "-i", package, seconds=60)
    assert done.code == 0 and "goes on" not in done.err, done


def runs_replaced_files(service):
    links = [service.systemd.run("readlink", f"/proc/{pid}/exe").out for pid in service.processes()]
    return any("(deleted)" in link for link in links)


def test_an_upgrade_is_not_noticed_and_a_removal_leaves_nothing(systemd, shared):
    install(systemd, with_version(PACKAGE, "0.1.0", shared))
    service = Service(systemd)
    assert service.show("ActiveState") == "active"
    assert systemd.do("systemctl", "is-enabled", UNIT).strip() == "enabled"
    systemd.do("systemctl", "reload", UNIT)  # to the configuration of the test
    before, generation = service.pid(), int(service.answer().removeprefix("generation "))

    with Wrk(service.address, connections=32) as kept, Wrk(service.address, connections=4, close=True) as short:
        for number in (1, 2, 3):
            install(systemd, with_version(PACKAGE, f"0.1.0+{number}", shared))
            assert service.answer() == f"generation {generation + number}"
            service.wait_until(lambda: not runs_replaced_files(service), "the new files run, and only they")
        for load in (kept, short):
            result = load.finish()
            assert not result.failed() and result.requests > 100, result.text
    assert service.pid() == before
    assert service.show("NRestarts") == "0"

    systemd.do("dpkg", "-r", "baton")
    assert service.processes() == []
    assert systemd.run("test", "-e", service.config).code == 0
    systemd.do("dpkg", "-P", "baton")
    for path in (service.config, "/var/log/baton", "/run/baton", service.unit_path):
        assert systemd.run("test", "-e", path).code == 1, path

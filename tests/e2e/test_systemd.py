"""baton.service under a real systemd: installed by meson, started, reloaded, stopped, broken."""

import re
import tempfile
from pathlib import Path

import pytest
from harness import http
from harness.load import Wrk
from harness.ports import free_port
from harness.service import CONFIG_OF, QUICK, UNIT, Service
from harness.systemd import ROOT, Systemd, why_not

UNIT = "baton.service"
POSTINST = ROOT / "debian" / "baton.postinst"
EXAMPLE_SOCKET = ROOT / "packaging" / "examples" / "baton.socket"
CONFIG_OF = re.compile(r"--config (\S+)")
pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@pytest.fixture(scope="module")
def systemd():
    with tempfile.TemporaryDirectory(prefix="baton-systemd-") as shared:
        Path(shared).chmod(0o755)
        systemd = Systemd(shared)
        try:
            systemd.install_baton()
            yield systemd
        finally:
            systemd.close()


@pytest.fixture(scope="module")
def installed_config(systemd):
    """As it came, before a test has written another one."""
    return systemd.do("cat", CONFIG_OF.search(systemd.do("systemctl", "cat", UNIT))[1])


@pytest.fixture
def service(systemd, installed_config, request):
    service = Service(systemd)
    service.installed_config = installed_config
    failed_before = request.session.testsfailed
    yield service
    if request.session.testsfailed > failed_before:
        print(service.log()[-20000:])
    service.clean_up()


@pytest.fixture
def running(service):
    service.drop_in(QUICK)
    service.start()
    return service


def test_it_starts_as_its_own_user_with_one_capability(running):
    assert running.answer() == "generation 1"
    running.wait_until(lambda: running.show("StatusText") == "generation 1 in charge, 0 connections", "its status")
    pids = running.processes()
    assert len(pids) == 2
    for pid in pids:
        status = running.systemd.do("cat", f"/proc/{pid}/status")
        assert re.search(r"^CapPrm:\t0+400$", status, re.M), status
        assert "NoNewPrivs:\t1" in status
        assert running.systemd.do("stat", "-c", "%U", f"/proc/{pid}").strip() == "baton"


def test_a_reload_keeps_the_process_and_replaces_the_generation(running):
    pid = running.pid()
    running.systemd.do("systemctl", "reload", UNIT)
    assert running.answer() == "generation 2"
    assert running.pid() == pid
    assert running.show("ActiveState") == "active"


def test_an_upgrade_of_the_supervisor_is_nothing_to_systemd(running):
    before = running.processes()
    done = running.ask("upgrade")
    assert done.code == 0, f"{done}\n{running.log()}"
    assert running.processes() == before
    assert running.show("ActiveState") == "active"
    # It goes on speaking for the service: the watchdog would end it otherwise.
    running.systemd.do("systemctl", "reload", UNIT)
    running.wait_until(lambda: running.show("StatusText").startswith("generation 2 in charge"), "status")
    assert running.show("NRestarts") == "0"


def test_reloads_and_upgrades_under_load_are_not_noticed(running):
    before = running.pid()
    with Wrk(running.address, connections=32) as kept, Wrk(running.address, connections=4, close=True) as short:
        for _ in range(5):
            running.systemd.do("systemctl", "reload", UNIT)
            assert running.ask("upgrade").code == 0, running.log()
        for load in (kept, short):
            result = load.finish()
            assert not result.failed() and result.requests > 100, result.text
    running.wait_until(lambda: len(running.processes()) == 2, "old generations have gone")
    assert running.pid() == before
    assert running.answer() == "generation 6"


def test_a_reload_that_fails_makes_systemctl_fail_and_the_journal_says_why(running):
    running.configure("[proxi]\n")
    assert running.systemd.run("systemctl", "reload", UNIT).code != 0
    running.wait_for_log("baton.toml:1:")
    assert running.answer() == "generation 1"
    assert running.show("ActiveState") == "active"


def test_a_stop_leaves_nothing(running):
    running.systemd.do("systemctl", "stop", UNIT)
    assert running.show("Result") == "success"
    assert running.show("ActiveState") == "inactive"
    assert running.processes() == []
    running.wait_until(lambda: running.systemd.run("test", "-e", "/run/baton").code == 1, "not even a directory")


def test_a_drain_may_take_longer_than_the_stop_of_a_unit(running):
    running.configure(drain_time="6s")  # TimeoutStopSec is 2 s
    running.systemd.do("systemctl", "reload", UNIT)
    with http.Client(running.address) as client:
        assert client.ask().status == 200
        running.systemd.do("systemctl", "stop", UNIT)
        assert client.is_closed()
    assert running.show("Result") == "success"
    running.wait_for_log("the drain deadline has passed with 1 connections left")
    assert running.processes() == []


def test_a_stop_leaves_nothing_even_of_a_supervisor_that_hangs(running):
    running.signal(running.pid(), "STOP")
    running.systemd.run("systemctl", "stop", UNIT)
    assert running.processes() == []
    assert running.show("ActiveState") in ("inactive", "failed")
    with pytest.raises(ConnectionRefusedError):
        running.answer()


def test_a_stop_asked_of_the_supervisor_itself_ends_the_unit_in_order(running):
    assert running.ask("stop").code == 0
    running.wait_until(lambda: running.show("ActiveState") == "inactive", "inactive")
    assert running.show("Result") == "success"
    assert running.processes() == []


def test_a_restart_runs_what_is_there_now(running):
    """Although the manager keeps its store while a unit restarts."""
    running.systemd.do("systemctl", "reload", UNIT)
    running.configure(body="another configuration, generation %GENERATION%")
    running.systemd.do("systemctl", "restart", UNIT)
    assert running.answer().startswith("another configuration, generation ")
    assert len(running.processes()) == 2


def test_the_watchdog_replaces_a_supervisor_that_hangs_while_its_generation_serves_on(running):
    hung, generation = sorted(running.processes())
    assert running.pid() == hung
    running.signal(hung, "STOP")
    running.wait_until(lambda: running.show("NRestarts") == "1" and running.show("ActiveState") == "active",
                       "another supervisor that is ready")
    running.wait_for_log("Watchdog timeout")
    assert sorted(running.processes()) == sorted([running.pid(), generation])
    assert running.answer() == "generation 1"
    running.systemd.do("systemctl", "reload", UNIT)
    assert running.answer() == "generation 2"
    running.systemd.do("systemctl", "stop", UNIT)
    assert running.processes() == []


def test_a_configuration_that_is_wrong_is_not_tried_again(service):
    service.configure("[proxi]\n")
    assert service.systemd.run("systemctl", "start", UNIT).code != 0
    assert service.show("ExecMainStatus") == "2"
    assert service.show("ActiveState") == "failed"
    assert service.show("NRestarts") == "0"


def test_a_second_start_changes_nothing_and_a_second_supervisor_is_refused(running):
    pid = running.pid()
    running.start()
    second = running.systemd.run(
        "setpriv", "--reuid=baton", "--regid=baton", "--clear-groups", running.command, "run",
        "--control", "/run/baton/control.sock")
    assert second.code == 4, second
    assert str(pid) in second.err
    assert running.pid() == pid
    assert running.answer() == "generation 1"


def test_a_runtime_directory_that_cannot_be_written_is_said(service):
    service.drop_in("[Service]\nRuntimeDirectoryMode=0500\nRestart=no\n")
    assert service.systemd.run("systemctl", "start", UNIT).code != 0
    service.wait_for_log("/run/baton/control.sock.lock: Permission denied")
    assert service.processes() == []


def test_the_configuration_that_is_installed_is_good(service):
    assert "[admin]" in service.installed_config
    service.configure(service.installed_config)
    done = service.systemd.run("baton", "check", "--config", service.config)
    assert done.code == 0, done


def test_logs_are_rotated_as_the_installed_logrotate_file_says(running):
    text = running.systemd.do("cat", f"{Path(running.config).parents[1]}/logrotate.d/baton")
    after = re.search(r"postrotate\n(.*?)\n *endscript", text, re.S)[1]
    log = "/var/log/baton/access.log"
    running.configure(access_log=log)
    running.systemd.do("systemctl", "reload", UNIT)
    running.answer()
    running.systemd.do("mv", log, f"{log}.1")
    running.systemd.do("sh", "-c", after)
    running.wait_until(lambda: running.systemd.run("test", "-e", log).code == 0, "a new log")
    running.answer()
    for path in (f"{log}.1", log):
        running.wait_until(lambda path=path: "GET /" in running.systemd.do("cat", path), path)


def test_sockets_that_systemd_listens_on_are_used_and_survive_a_stop(service):
    unwanted = f"127.0.0.1:{free_port()}"
    example = EXAMPLE_SOCKET.read_text()
    listens = f"ListenStream={service.address}\nListenStream={unwanted}\n"
    text, changes = re.subn(r"^(ListenStream=.*\n)+", listens, example, flags=re.M)
    assert changes == 1
    service.systemd.write("/run/systemd/system/baton.socket", text)
    service.drop_in(QUICK)
    service.configure(workers=3)
    service.systemd.do("systemctl", "start", "baton.socket")
    # Nobody is there yet: the first client starts the service, and waits for it.
    assert service.answer() == "generation 1"
    service.wait_for_log(f"no listener wants {unwanted}")
    # A reload while the start's job is not done yet would be taken for a part of it.
    service.wait_until(lambda: service.show("ActiveState") == "active", "the start is done")
    service.systemd.do("systemctl", "reload", UNIT)
    assert {service.answer() for _ in range(20)} == {"generation 2"}
    # A listener may come later, go, and come back: systemd has kept the address busy.
    used = service.address
    for generation, service.address in enumerate([unwanted, used, unwanted, used], 3):
        service.configure(workers=3)
        service.systemd.do("systemctl", "reload", UNIT)
        assert service.answer() == f"generation {generation}"
    service.wait_until(lambda: service.log().count("no listener wants") >= 5, "all are said")
    assert service.log().count("no listener wants") == 5, "said whenever it begins, and then no more"
    service.systemd.do("systemctl", "stop", UNIT)
    assert service.processes() == []
    assert service.answer() == "generation 1"


def test_an_upgrade_of_the_package_waits_for_a_supervisor_that_was_just_started_again(service):
    """It refuses commands until its generations are back, or too late: this one hangs."""
    service.drop_in("[Service]\nWatchdogSec=0\nRestartSec=4\n")
    service.start()
    supervisor, generation = sorted(service.processes())
    assert service.pid() == supervisor
    service.signal(supervisor, "KILL")
    service.wait_until(lambda: service.pid() == 0, "the supervisor has ended")
    service.signal(generation, "STOP")  # before, the end of its parent would have continued it
    service.wait_until(lambda: service.ask("status").code == 4, "another supervisor, which waits")
    service.systemd.do("rm", "-f", "/usr/sbin/policy-rc.d")
    done = service.systemd.run("sh", POSTINST, "configure", "0.0.1")
    assert done.code == 0 and "goes on" not in done.err, done
    assert service.answer() == "generation 3"  # the second was what came of the first one's end


def test_an_upgrade_of_the_package_does_not_wait_for_a_service_that_does_not_run(service):
    done = service.systemd.run("sh", POSTINST, "configure", "0.0.1")
    assert (done.code, done.out + done.err) == (0, "")
    assert service.processes() == []


def test_an_upgrade_of_the_package_does_all_or_nothing_of_what_policy_rc_d_forbids(running):
    before, upgrades = running.pid(), running.log().count("upgrading to")
    running.systemd.do("install", "-m", "755", "/dev/stdin", "/usr/sbin/policy-rc.d",
                       stdin="#!/bin/sh\nexit 101\n")
    try:
        done = running.systemd.run("sh", POSTINST, "configure", "0.0.1")
    finally:
        running.systemd.do("rm", "-f", "/usr/sbin/policy-rc.d")
    assert done.code == 0 and "baton: still runs the programs before: policy-rc.d" in done.err, done
    assert running.answer() == "generation 1" and running.pid() == before
    assert running.log().count("upgrading to") == upgrades


def test_an_upgrade_of_the_package_says_that_a_supervisor_is_elsewhere(service):
    unit = service.systemd.do("cat", service.unit_path)
    command = re.search(r"^ExecStart=(.*)$", unit, re.M)[1]
    service.drop_in(f"[Service]\nExecStart=\nExecStart={command} --control /run/baton/other.sock\n")
    service.start()
    done = service.systemd.run("sh", POSTINST, "configure", "0.0.1")
    assert done.code == 0 and "baton: still runs the programs before" in done.err, done
    assert service.answer() == "generation 1"


def test_what_systemd_says_of_the_unit(service):
    done = service.systemd.run("systemd-analyze", "verify", "--man=no", service.unit_path)
    assert (done.code, done.out + done.err) == (0, "")
    done = service.systemd.run("systemd-analyze", "security", "--no-pager", UNIT)
    level = float(re.search(r"exposure level for baton.service: ([\d.]+)", done.out)[1])
    print(f"systemd-analyze security: {level}")
    assert level < 2.0, done.out

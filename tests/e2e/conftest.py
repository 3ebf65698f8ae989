"""Fixtures of the end-to-end tests. Run by `scripts/test e2e`, or by Debian's pytest in tests/e2e."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import baton as baton_module  # noqa: E402
from harness import processes  # noqa: E402
from harness.access_log import AccessLog  # noqa: E402
from harness.http import HttpServer  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.programs import Nginx, Node  # noqa: E402
from harness.upstreams import Upstream, answer_one_line, echo  # noqa: E402
from harness.waiting import wait_until  # noqa: E402

LIMIT_OF_A_TEST = 200  # seconds; every wait in a test has a shorter one of its own
LONGEST = ("test_udp", "test_systemd", "test_adoption", "test_move", "test_http_limits", "test_upstreams")


# A shell that starts us in the background ignores SIGINT for us, and for whom we start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Of several files at a time the longest begin first: at the end there are short ones to fill gaps."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the log of each supervisor it had started."""
    report = (yield).get_result()
    if report.failed:
        for each in getattr(item, "batons", []):
            report.sections.append((f"log of {each.directory}", each.log()[-20000:]))


@pytest.fixture(autouse=True)
def time_limit():
    def too_long(*_):
        raise TimeoutError(f"the test took more than {LIMIT_OF_A_TEST} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT_OF_A_TEST)
    yield
    signal.alarm(0)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_on_the_machine():
    processes.become_subreaper()
    before = set(os.listdir("/dev/shm"))
    yield
    ours = {name for name in set(os.listdir("/dev/shm")) - before if "baton" in name.lower()}
    assert not ours, f"left in /dev/shm: {ours}"

    def left():
        return [pid for pid in processes.children(os.getpid()) if processes.is_alive(pid)]

    wait_until(lambda: not left(), 5, lambda: f"processes are left: {baton_module.describe(left())}")


@pytest.fixture
def directory():
    """Short, so that a unix socket's path fits in it."""
    path = Path(tempfile.mkdtemp(prefix="baton-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def prepare(directory, request):
    """Makes a Baton that is not started yet; at the end it must stop in order and leave nothing."""
    made = request.node.batons = []

    def make(config=None, **options):
        made.append(baton_module.Baton(directory / f"s{len(made)}", config, **options))
        return made[-1]

    yield make
    try:
        for each in made:
            if each.process is not None and each.process.poll() is None:
                wait_until(lambda: not any(map(processes.is_zombie, processes.children(each.pid))), 5,
                           "the supervisor has no zombies")
                each.stop("--now")
            each.check_nothing_is_left()
    finally:
        for each in made:
            each.clean_up()


@pytest.fixture
def start(prepare):
    """Makes a Baton and waits until it serves."""
    return lambda config=None, **options: prepare(config, **options).start()


@pytest.fixture
def address():
    """Where the test's listener is."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def another_address():
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def liner():
    """An upstream for load.ShortClients."""
    with Upstream(answer_one_line) as upstream:
        yield upstream


@pytest.fixture
def echoer():
    with Upstream(echo) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def nginx(nothing_is_left_on_the_machine):
    with Nginx() as server:
        yield server


@pytest.fixture(scope="session")
def node(nothing_is_left_on_the_machine):
    with Node() as server:
        yield server


@pytest.fixture
def http_server():
    """An upstream that answers every request with 200 and stores it."""
    with HttpServer() as upstream:
        yield upstream
        assert not upstream.broken, upstream.broken


@pytest.fixture
def log(directory):
    """The access log that tables.web(log=log.path) makes."""
    return AccessLog(directory / "access.log")

"""Who gets the traffic: health checks, ejection, discovery, policies and limits, across reloads."""

import contextlib
import itertools
import os
import signal
import socket
import threading
import time

import pytest
from harness import processes, sockets
from harness.dns import A, AAAA, SRV, NameServer
from harness.load import ShortClients
from harness.ports import free_port
from harness.tables import relay, web
from harness.upstreams import Upstream, answer_one_line, echo, hang, refusing_address
from harness.waiting import wait_until

# The first check decides, and there is hardly a second: each generation begins somewhen within an interval.
ONCE = {"type": "tcp", "interval": "24h"}
OFTEN = {"type": "tcp", "interval": "20ms", "timeout": "1s"}


def naming(name):
    """An upstream's handler that answers every connection with a name."""

    def handle(connection):
        connection.sendall(name.encode())

    return handle


def who_answers(address):
    with sockets.connect(address) as client:
        return sockets.read_all(client).decode()


def answers(address, count):
    return [who_answers(address) for _ in range(count)]


def wait_for_answers(address, *names, count=12):
    """Until these, and no others, answer."""
    wait_until(lambda: set(answers(address, count)) == set(names), 20,
               lambda: f"{names} answer: {answers(address, count)}")


def upstream_metric(baton, name):
    return baton.metric(f"baton_upstream_{name}", cluster="back")


def with_proxy(tables, **keys):
    return {**tables, "proxy": {**tables["proxy"], **keys}}


# --- health checks


def test_a_dead_endpoint_gets_no_connection_not_even_after_a_reload(start, address):
    with Upstream(naming("alive")) as alive:
        baton = start(relay(address, refusing_address(), alive.address,
                            cluster={"health_check": ONCE}))
        assert answers(address, 20) == ["alive"] * 20
        for _ in range(3):
            baton.reload()
            assert answers(address, 20) == ["alive"] * 20
        baton.wait_drained()
        # What one generation has found out, the next one does not try again.
        assert alive.accepted == 80 + 1
        assert upstream_metric(baton, "connect_failures_total") == 0
        assert upstream_metric(baton, "health_check_failures_total") == 1
        wait_until(lambda: upstream_metric(baton, "endpoints_available") == 1, 5, "the gauge is 1")
        assert upstream_metric(baton, "endpoints") == 2


def test_an_endpoint_that_dies_and_comes_back_loses_and_regains_its_traffic(start, address):
    place = f"127.0.0.1:{free_port()}"
    with Upstream(naming("steady")) as steady:
        with Upstream(naming("moody"), place) as moody:
            baton = start(relay(address, steady.address, moody.address,
                                cluster={"health_check": OFTEN}))
            wait_for_answers(address, "steady", "moody")
        baton.wait_for_log(f"{place} is unhealthy")
        failures = upstream_metric(baton, "connect_failures_total")
        assert set(answers(address, 20)) == {"steady"}
        assert upstream_metric(baton, "connect_failures_total") == failures
        with Upstream(naming("moody"), place):
            wait_for_answers(address, "steady", "moody")


def test_regular_reloads_keep_no_check_from_finding_out(start, address):
    place = f"127.0.0.1:{free_port()}"
    check = {"type": "tcp", "interval": "500ms", "healthy_threshold": 3, "unhealthy_threshold": 3}
    with Upstream(naming("steady")) as steady:
        with Upstream(naming("moody"), place) as moody:
            baton = start(relay(address, steady.address, moody.address,
                                cluster={"health_check": check}))
            wait_for_answers(address, "steady", "moody")

        def reload_until(happened, what):
            """A generation has no time for as many checks as the thresholds ask for."""
            wait_until(lambda: baton.reload() and happened(), 20, what)

        reload_until(lambda: f"{place} is unhealthy" in baton.log(), "the dead one is found out")
        failures = upstream_metric(baton, "connect_failures_total")
        assert set(answers(address, 20)) == {"steady"}
        assert upstream_metric(baton, "connect_failures_total") == failures
        with Upstream(naming("moody"), place):
            reload_until(lambda: set(answers(address, 12)) == {"steady", "moody"}, "it is back")


def test_with_all_endpoints_down_a_client_is_turned_away_at_once(start, address):
    baton = start(relay(address, refusing_address(), refusing_address(),
                        cluster={"health_check": ONCE, "connect_timeout": "1h"}))
    for _ in range(5):
        with sockets.connect(address) as client:
            assert sockets.is_closed_by_peer(client)
    assert upstream_metric(baton, "none_available_total") == 5
    assert upstream_metric(baton, "connect_failures_total") == 0


def test_in_panic_endpoints_that_are_down_are_tried_as_well(start, address):
    with Upstream(naming("alive")) as alive:
        baton = start(relay(address, refusing_address(), refusing_address(), alive.address,
                            cluster={"health_check": ONCE, "panic_threshold": 50}))
        assert answers(address, 12) == ["alive"] * 12
        assert upstream_metric(baton, "connect_failures_total") > 0


class HttpServer:
    """Answers each connection with one status, which may change, and keeps what was asked."""

    def __init__(self):
        self.status = 200
        self.requests = []

    def __call__(self, connection):
        request = b""
        while b"\r\n\r\n" not in request:
            more = connection.recv(4096)
            if not more:
                return
            request += more
        self.requests.append(request.decode())
        connection.sendall(f"HTTP/1.1 {self.status} Status\r\nContent-Length: 0\r\n\r\n".encode())


def test_an_http_check_asks_for_its_path_and_goes_by_the_status(start, address):
    server = HttpServer()
    check = {**OFTEN, "type": "http", "path": "/up?now", "host": "a.example", "expected_status": 204}
    server.status = 204
    with Upstream(server) as upstream:
        baton = start(relay(address, upstream.address, cluster={"health_check": check}))
        assert server.requests[0].startswith("GET /up?now HTTP/1.1\r\nHost: a.example\r\n")
        wait_until(lambda: upstream_metric(baton, "endpoints_available") == 1, 5, "it is healthy")
        server.status = 200
        baton.wait_for_log("is unhealthy: status 200")
        server.status = 204
        wait_until(lambda: upstream_metric(baton, "endpoints_available") == 1, 20, "healthy again")


def test_a_check_that_is_corrected_judges_anew_in_the_reload_that_brings_it(start, address):
    def only_at_the_root(connection):
        said = connection.recv(1 << 12)
        if said.startswith(b"GET "):
            said = b"HTTP/1.1 200 OK\r\n\r\n" if said.startswith(b"GET / ") else b"HTTP/1.1 404 No\r\n\r\n"
        connection.sendall(said)

    check = {**ONCE, "type": "http"}
    with Upstream(only_at_the_root) as upstream:
        baton = start(relay(address, upstream.address,
                            cluster={"health_check": {**check, "path": "/wrong"}}))
        with sockets.connect(address) as client:
            assert sockets.is_closed_by_peer(client)
        baton.write(relay(address, upstream.address, cluster={"health_check": check}))
        baton.reload()
        with sockets.connect(address) as client:
            sockets.ask(client, b"are you there?")


def test_a_stall_of_the_proxy_is_nothing_that_an_endpoint_has_done(start, address):
    asked, pause = threading.Event(), threading.Event()

    def slow(connection):
        request = connection.recv(1 << 12)
        if not request.startswith(b"GET /up "):
            asked.set()
        pause.wait(0.3)  # a slow server
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    check = {**OFTEN, "type": "http", "path": "/up", "unhealthy_threshold": 1}
    with Upstream(slow) as upstream:
        baton = start(web(address, upstream.address, routes=[{"cluster": "back", "timeout": "1s"}],
                          cluster={"health_check": check}))
        proxy = baton.in_charge()["pid"]
        for _ in range(3):
            asked.clear()
            with sockets.connect(address) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert asked.wait(sockets.PATIENCE)
                processes.suspend(proxy)
                end = time.monotonic() + 1.5
                wait_until(lambda: time.monotonic() > end, 5, "both are over their time")
                os.kill(proxy, signal.SIGCONT)
                assert sockets.read_all(client).startswith(b"HTTP/1.1 200 OK\r\n")
        assert "is unhealthy" not in baton.log()
        assert upstream_metric(baton, "timeouts_total") == 0


def test_an_http_check_of_something_else_fails(start, address):
    with Upstream(naming("not HTTP at all\n")) as upstream:
        baton = start(relay(address, upstream.address,
                            cluster={"health_check": {**ONCE, "type": "http"}}))
        baton.wait_for_log("is unhealthy: the answer is not HTTP")


def test_a_start_waits_for_the_first_checks_only_so_long(start, address):
    def leave_checks_open(connection):
        said = connection.recv(1 << 12)
        hang(connection) if said.startswith(b"GET") else connection.sendall(said)

    with Upstream(leave_checks_open) as upstream:
        tables = relay(address, upstream.address, cluster={
            "health_check": {**ONCE, "type": "http", "timeout": "1h"}})
        baton = start(with_proxy(tables, warm_time="100ms"))
        assert "its endpoints are not all known yet" in baton.log()
        # No other is known to be better.
        with sockets.connect(address) as client:
            sockets.ask(client, b"are you there?")


# --- outlier detection


def test_an_ejected_endpoint_gets_no_connection_in_any_worker_or_generation(start, address):
    with Upstream(naming("alive")) as alive:
        outliers = {"consecutive_connect_failures": 2, "base_ejection_time": "1h",
                    "max_ejection_time": "1h"}
        baton = start(relay(address, refusing_address(), alive.address, workers=4,
                            cluster={"outlier_detection": outliers}))
        wait_until(lambda: who_answers(address) and upstream_metric(baton, "ejections_total") == 1,
                   20, "the dead one is ejected")
        failures = upstream_metric(baton, "connect_failures_total")
        assert answers(address, 20) == ["alive"] * 20
        baton.reload()
        assert answers(address, 20) == ["alive"] * 20
        assert upstream_metric(baton, "connect_failures_total") == failures
        wait_until(lambda: upstream_metric(baton, "endpoints_ejected") == 1, 5, "the gauge is 1")


def test_an_ejection_ends_by_itself(start, address):
    place = f"127.0.0.1:{free_port()}"
    with Upstream(naming("alive")) as alive:
        outliers = {"consecutive_connect_failures": 1, "base_ejection_time": "50ms"}
        baton = start(relay(address, place, alive.address, cluster={"outlier_detection": outliers}))
        wait_until(lambda: who_answers(address) and upstream_metric(baton, "ejections_total") >= 1,
                   20, "the dead one is ejected")
        with Upstream(naming("back"), place):
            wait_for_answers(address, "alive", "back")


def test_without_outlier_detection_nobody_stays_ejected(start, address):
    place = f"127.0.0.1:{free_port()}"
    outliers = {"consecutive_connect_failures": 1, "base_ejection_time": "1h", "max_ejection_time": "1h"}
    baton = start(relay(address, place, cluster={"outlier_detection": outliers}))
    wait_until(lambda: not who_answers(address) and upstream_metric(baton, "ejections_total") == 1, 20, "ejected")
    with Upstream(naming("back"), place):
        assert not who_answers(address)
        baton.write(relay(address, place))
        baton.reload("--wait-drained")
        assert answers(address, 5) == ["back"] * 5
        assert upstream_metric(baton, "endpoints_ejected") == 0
        assert upstream_metric(baton, "endpoints_available") == 1


# --- discovery: files


def replace(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_a_file_of_endpoints_is_followed(start, address, directory):
    path = directory / "endpoints"
    with Upstream(naming("one")) as one, Upstream(naming("two")) as two:
        path.write_text(f"# the first\n{one.address}\n")
        baton = start({**relay(address), "cluster": [{"name": "back", "endpoints_file": str(path)}]})
        wait_for_answers(address, "one")
        replace(path, f"{one.address} 1\n\n{two.address}  2 # more\n")
        wait_for_answers(address, "one", "two")
        path.write_text(f"{two.address}\n")
        wait_for_answers(address, "two")
        replace(path, "nonsense\n")
        baton.wait_for_log("line 1")
        path.unlink()
        baton.wait_for_log("No such file")
        assert set(answers(address, 10)) == {"two"}
        replace(path, f"{one.address}\n")
        wait_for_answers(address, "one")
        assert upstream_metric(baton, "discovery_failures_total") == 2


def test_a_file_that_is_broken_during_a_reload_takes_nothing_away(start, address, directory):
    path = directory / "endpoints"
    with Upstream(naming("one")) as one, Upstream(naming("two")) as two:
        path.write_text(one.address + "\n")
        baton = start({**relay(address), "cluster": [{"name": "back", "endpoints_file": str(path)}]})
        wait_for_answers(address, "one")
        path.unlink()
        baton.reload()
        assert answers(address, 10) == ["one"] * 10
        replace(path, two.address + "\n")
        wait_for_answers(address, "two")


def test_a_generation_without_its_file_goes_by_the_weights_of_the_one_before(start, address, directory):
    path = directory / "endpoints"
    with Upstream(naming("one")) as one, Upstream(naming("two")) as two:
        path.write_text(f"{one.address} 9\n{two.address} 1\n")
        tables = {**relay(address, workers=1), "cluster": [{"name": "back", "endpoints_file": str(path)}]}
        baton = start(tables)
        assert answers(address, 20).count("one") == 18
        path.unlink()
        baton.reload()
        assert answers(address, 20).count("one") == 18


def test_what_was_taken_away_is_not_inherited(start, address, directory):
    path = directory / "endpoints"
    with Upstream(naming("one")) as one, Upstream(naming("two")) as two, \
            Upstream(naming("three")) as three:
        path.write_text(f"{two.address}\n{three.address}\n")
        cluster = {"name": "back", "endpoints": [one.address], "endpoints_file": str(path)}
        baton = start({**relay(address), "cluster": [cluster]})
        wait_for_answers(address, "one", "two", "three")
        # From the file, while a connection to it lives on, and from the configuration, while the
        # file cannot be read.
        with sockets.connect(address), sockets.connect(address), sockets.connect(address):
            replace(path, f"{two.address}\n")
            wait_for_answers(address, "one", "two")
            path.unlink()
            baton.write({**relay(address), "cluster": [{**cluster, "endpoints": [refusing_address()]}]})
            baton.reload()
            assert set(answers(address, 10)) == {"two"}
            baton.reload()
            assert set(answers(address, 10)) == {"two"}


def test_a_file_that_is_not_there_yet_is_waited_for(start, address, directory):
    path = directory / "later" / "endpoints"
    with Upstream(naming("one")) as one:
        baton = start({**relay(address), "cluster": [{"name": "back", "endpoints_file": str(path)}]})
        with sockets.connect(address) as client:
            assert sockets.is_closed_by_peer(client)
        path.parent.mkdir()
        replace(path, f"{one.address}\n")
        wait_until(lambda: upstream_metric(baton, "endpoints") == 1, 20, "it is found")
        wait_for_answers(address, "one")


def test_a_link_to_a_file_that_is_turned_is_followed(start, address, directory):
    with Upstream(naming("one")) as one, Upstream(naming("two")) as two:
        for name, upstream in (("a", one), ("b", two)):
            (directory / name).mkdir()
            (directory / name / "endpoints").write_text(upstream.address + "\n")
        (directory / "current").symlink_to("a")
        (directory / "endpoints").symlink_to("current/endpoints")
        start({**relay(address), "cluster": [{"name": "back",
                                              "endpoints_file": str(directory / "endpoints")}]})
        wait_for_answers(address, "one")
        (directory / "next").symlink_to("b")
        os.rename(directory / "next", directory / "current")
        wait_for_answers(address, "two")


# --- discovery: DNS


@pytest.fixture
def two_hosts():
    """The same port at 127.0.0.1 and 127.0.0.2."""
    port = free_port()
    with Upstream(naming("one"), f"127.0.0.1:{port}"), Upstream(naming("two"), f"127.0.0.2:{port}"):
        yield port


def test_a_host_is_looked_up_again_when_its_time_to_live_has_passed(start, address, two_hosts):
    with NameServer({("db.test", A): ["127.0.0.1"]}) as names:
        baton = start(with_proxy(relay(address, f"db.test:{two_hosts}"), dns_servers=[names.address]))
        assert set(answers(address, 5)) == {"one"}
        names.records["db.test", A] = ["127.0.0.1", "127.0.0.2"]
        wait_for_answers(address, "one", "two")
        names.records["db.test", A] = ["127.0.0.2"]
        wait_for_answers(address, "two")
        names.failing = True
        baton.wait_for_log("its addresses stay as they were")
        assert set(answers(address, 5)) == {"two"}
        names.failing = False
        names.records["db.test", A] = ["127.0.0.1"]
        wait_for_answers(address, "one")


def test_a_name_server_that_is_down_during_a_reload_takes_nothing_away(start, address, two_hosts):
    with NameServer({("db.test", A): ["127.0.0.1"]}) as names:
        baton = start(with_proxy(relay(address, f"db.test:{two_hosts}"), dns_servers=[names.address]))
        assert set(answers(address, 5)) == {"one"}
        names.failing = True
        baton.reload()
        baton.reload()
        assert answers(address, 10) == ["one"] * 10
        assert upstream_metric(baton, "none_available_total") == 0
        names.failing = False
        names.records["db.test", A] = ["127.0.0.2"]
        wait_for_answers(address, "two")


def test_what_one_name_had_stays_when_the_generation_that_knew_it_has_gone(start, address, two_hosts):
    with NameServer({("a.test", A): ["127.0.0.1"], ("b.test", A): ["127.0.0.2"]}) as names:
        baton = start(with_proxy(relay(address, f"a.test:{two_hosts}", f"b.test:{two_hosts}"),
                                 dns_servers=[names.address]))
        assert set(answers(address, 10)) == {"one", "two"}
        names.failing_names = {"b.test"}
        baton.reload("--wait-drained")
        names.records["a.test", A] = ["127.0.0.1", "127.0.0.3"]
        baton.wait_for_log("cluster back: 3 endpoints")
        assert set(answers(address, 10)) == {"one", "two"}


def test_a_service_keeps_the_host_that_cannot_be_looked_up(start, address, two_hosts):
    with NameServer({("_db._tcp.test", SRV): [(1, 1, two_hosts, "one.test"), (1, 1, two_hosts, "two.test")],
                     ("one.test", A): ["127.0.0.1"], ("two.test", A): ["127.0.0.2"]}) as names:
        baton = start(with_proxy(relay(address, "srv:_db._tcp.test"), dns_servers=[names.address]))
        assert set(answers(address, 10)) == {"one", "two"}
        names.failing_names = {"one.test"}
        baton.wait_for_log("its addresses stay as they were")
        assert set(answers(address, 10)) == {"one", "two"}
        # One that is said not to exist is no longer there.
        names.failing_names = set()
        del names.records["one.test", A]
        wait_for_answers(address, "two")


def test_a_long_time_to_live_is_respected_and_a_reload_looks_anew(start, address, two_hosts):
    with NameServer({("db.test", A): ["127.0.0.1"]}, ttl=3600) as names:
        baton = start(with_proxy(relay(address, f"db.test:{two_hosts}"), dns_servers=[names.address]))
        assert set(answers(address, 5)) == {"one"}
        before = names.asked["db.test", A]  # more than once: a server that is late is asked again
        names.records["db.test", A] = ["127.0.0.2"]
        assert set(answers(address, 20)) == {"one"}
        assert names.asked["db.test", A] == before
        baton.reload()
        assert set(answers(address, 5)) == {"two"}
        assert names.asked["db.test", A] > before


def test_a_host_with_only_ipv6_addresses(start, address):
    with Upstream(naming("six"), f"[::1]:{free_port()}") as upstream:
        port = upstream.address.rpartition(":")[2]
        with NameServer({("db.test", AAAA): ["::1"]}) as names:
            start(with_proxy(relay(address, f"db.test:{port}"), dns_servers=[names.address]))
            assert who_answers(address) == "six"


def test_ipv6_is_not_used_because_ipv4_cannot_be_asked_for(start, address):
    port = free_port()
    with (Upstream(naming("four"), f"127.0.0.1:{port}"), Upstream(naming("six"), f"[::1]:{port}"),
          NameServer({("db.test", A): ["127.0.0.1"], ("db.test", AAAA): ["::1"]}) as names):
        baton = start(with_proxy(relay(address, f"db.test:{port}"), dns_servers=[names.address]))
        assert set(answers(address, 5)) == {"four"}
        names.failing_records = {("db.test", A)}
        baton.wait_for_log("its addresses stay as they were")
        assert set(answers(address, 5)) == {"four"}
        # That it has none is an answer.
        names.failing_records = set()
        del names.records["db.test", A]
        wait_for_answers(address, "six")


def test_a_service_has_its_records_ports_and_best_priority(start, address):
    with Upstream(naming("one")) as one, Upstream(naming("two")) as two, Upstream(naming("spare")) as spare:
        ports = [int(each.address.rpartition(":")[2]) for each in (one, two, spare)]
        with NameServer({
                ("_db._tcp.test", SRV): [(1, 3, ports[0], "host.test"), (1, 1, ports[1], "host.test"),
                                         (2, 1, ports[2], "host.test")],
                ("host.test", A): ["127.0.0.1"]}) as names:
            start(with_proxy(relay(address, "srv:_db._tcp.test", workers=1),
                             dns_servers=[names.address]))
            heard = answers(address, 16)
            assert heard.count("one") == 12 and heard.count("two") == 4
            one.close()
            assert set(answers(address, 4)) == {"two"}
            two.close()
            assert set(answers(address, 4)) == {"spare"}


def test_a_name_that_does_not_exist_keeps_nothing_from_starting(start, address, two_hosts):
    with NameServer({("other.test", A): ["127.0.0.1"]}) as names:
        baton = start(with_proxy(relay(address, f"db.test:{two_hosts}"), dns_servers=[names.address]))
        with sockets.connect(address) as client:
            assert sockets.is_closed_by_peer(client)
        assert upstream_metric(baton, "discovery_failures_total") >= 1
        names.records["db.test", A] = ["127.0.0.1"]
        wait_until(lambda: upstream_metric(baton, "endpoints") == 1, 20, "it is found")
        assert who_answers(address) == "one"


# --- policies and limits


def from_host(host, address):
    """Who answers a client with this address."""
    client = socket.socket()
    client.settimeout(sockets.PATIENCE)
    with client:
        client.bind((host, 0))
        client.connect(sockets.parse(address)[1])
        return sockets.read_all(client).decode()


@pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
def test_a_client_comes_to_the_same_endpoint_in_every_worker_and_generation(start, address, policy):
    with contextlib.ExitStack() as stack:
        upstreams = [stack.enter_context(Upstream(naming(str(i)))) for i in range(5)]
        baton = start(relay(address, *(each.address for each in upstreams), workers=3,
                            cluster={"lb_policy": policy}))
        hosts = [f"127.0.0.{i}" for i in range(2, 42)]
        first = {host: from_host(host, address) for host in hosts}
        assert len(set(first.values())) >= 4
        baton.reload()
        for _ in range(3):
            assert {host: from_host(host, address) for host in hosts} == first


@pytest.mark.parametrize("policy", ["least_request", "random"])
def test_every_endpoint_gets_its_part(start, address, policy):
    with contextlib.ExitStack() as stack:
        upstreams = [stack.enter_context(Upstream(naming(str(i)))) for i in range(3)]
        start(relay(address, *(each.address for each in upstreams), cluster={"lb_policy": policy}))
        assert set(answers(address, 100)) == {"0", "1", "2"}


def test_least_request_leaves_a_busy_endpoint_alone(start, address):
    with Upstream(echo) as one, Upstream(echo) as two:
        start(relay(address, one.address, two.address, workers=2,
                    cluster={"lb_policy": "least_request"}))
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                client = stack.enter_context(sockets.connect(address))
                sockets.ask(client, b"are you there?")
            # Two draws of two endpoints are both of them: the difference is never more than one.
            assert abs(one.open_connections - two.open_connections) <= 2


def test_connections_beyond_the_limit_are_turned_away_and_counted(start, address):
    with Upstream(echo) as upstream:
        baton = start(relay(address, upstream.address, cluster={"max_connections": 2}))
        with sockets.connect(address) as one, sockets.connect(address) as two:
            sockets.ask(one, b"one")
            sockets.ask(two, b"two")
            with sockets.connect(address) as three:
                assert sockets.is_closed_by_peer(three)
            assert upstream_metric(baton, "connections_overflow_total") == 1
        wait_until(lambda: upstream_metric(baton, "connections_active") == 0, 5, "both have ended")
        with sockets.connect(address) as again:
            sockets.ask(again, b"again")


def test_no_client_notices_endpoints_coming_and_going(start, address, directory):
    path = directory / "endpoints"
    with contextlib.ExitStack() as stack:
        upstreams = [stack.enter_context(Upstream(answer_one_line)) for _ in range(4)]
        path.write_text(upstreams[0].address + "\n")
        baton = start({**relay(address), "cluster": [{
            "name": "back", "endpoints_file": str(path), "health_check": OFTEN,
            "outlier_detection": {}, "lb_policy": "maglev"}]})
        load = stack.enter_context(ShortClients(address, clients=4))
        for chosen in itertools.islice(itertools.cycle(itertools.permutations(upstreams, 2)), 12):
            before = [each.accepted for each in chosen]
            replace(path, "".join(each.address + "\n" for each in chosen))
            wait_until(lambda: all(each.accepted > was for each, was in zip(chosen, before)), 20,
                       "both have been tried")
            baton.reload()
            load.wait_for_more(10)
        total = load.stop()
    assert total.failures == []

"""Programs people use, through the proxy, while it is reloaded."""

import json
import subprocess

import pytest
from harness.baton import NEXT_PROXY, PROXY, run
from harness.load import Wrk
from harness.programs import Iperf3, Mosquitto, Postgres, Redis, program
from harness.tables import relay
from harness.waiting import wait_until

QUICK = {"probation": "20ms", "drain_time": "1h"}


def reload_while(baton, process, least=3):
    """Swaps binaries for as long as the process runs; returns how often."""
    count = 0
    while process.poll() is None or count < least:
        baton.reload("--proxy", (NEXT_PROXY, PROXY)[count % 2])
        count += 1
    return count


def background(*command):
    return subprocess.Popen([str(word) for word in command], text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_curl_and_nginx(start, address, nginx):
    baton = start(relay(address, nginx.address, supervisor=QUICK))
    for _ in range(5):
        assert run("curl", "-sS", f"http://{address}/").out == "hello from upstream\n"
        direct = run("curl", "-sS", f"http://{nginx.address}/big", "-o", baton.directory / "direct")
        via = run("curl", "-sS", f"http://{address}/big", "-o", baton.directory / "via")
        assert direct.code == via.code == 0
        assert (baton.directory / "direct").read_bytes() == (baton.directory / "via").read_bytes()
        baton.reload()


def test_wrk_with_kept_connections(start, address, nginx):
    baton = start(relay(address, nginx.address, supervisor=QUICK))
    with Wrk(address, connections=64, path="/big", seconds=3) as wrk:
        reload_while(baton, wrk.process)
        result = wrk.finish(early=False)
    assert not result.failed() and result.requests > 100, result.text


def test_postgresql_by_psql_and_pgbench(start, address):
    host, port = address.rsplit(":", 1)
    with Postgres() as server:
        baton = start(relay(address, server.address, supervisor=QUICK))
        via = ["-h", host, "-p", port, "-U", server.user]
        count = run("psql", *via, "-Atc", "select count(*) from pg_class", "postgres")
        assert count.code == 0 and int(count.out) > 100, count
        pgbench = sorted(server.binaries.glob("pgbench"))[0]
        filled = run(pgbench, *via, "-i", "-q", "-s", "1", "postgres")
        assert filled.code == 0, filled
        for connect in ([], ["-C"]):  # one session each, and a new connection for every transaction
            bench = background(pgbench, *via, "-T", "3", "-c", "8", *connect, "postgres")
            reload_while(baton, bench)
            text, _ = bench.communicate(timeout=30)
            assert bench.returncode == 0, text
            assert "number of failed transactions: 0 (0.000%)" in text, text
            assert "abort" not in text, text
        # Sessions do not mix: what one has sent to its server comes back to it alone.
        answer = run("psql", *via, "-Atc", "select sum(abalance) is not null from pgbench_accounts", "postgres")
        assert answer.out.strip() == "t", answer


def test_postgresql_keeps_its_sessions(start, address):
    """The same server processes from the first transaction to the last, and none fails."""
    host, port = address.rsplit(":", 1)
    with Postgres() as server:
        baton = start(relay(address, server.address, supervisor=QUICK))
        direct = ["-h", "127.0.0.1", "-p", server.port, "-U", server.user]
        pgbench = sorted(server.binaries.glob("pgbench"))[0]
        assert run(pgbench, *direct, "-i", "-q", "-s", "1", "postgres").code == 0

        def backends():
            rows = run("psql", *direct, "-Atc",
                       "select pid from pg_stat_activity where application_name = 'pgbench'", "postgres")
            return set(rows.out.split())

        bench = background(pgbench, "-h", host, "-p", port, "-U", server.user, "-T", "10", "-c", "8", "postgres")

        def eight():  # without that of its first connection, which asks for the table's size
            if baton.metric("baton_listener_connections_total") != 9:
                return None
            found = backends()
            return found if len(found) == 8 and backends() == found else None

        first = wait_until(eight, 10, "eight sessions")
        reloads = 0
        while reloads < 10:
            baton.reload("--proxy", (NEXT_PROXY, PROXY)[reloads % 2])
            now = backends()
            assert now <= first
            if now != first:
                break  # they end, when its time is over
            reloads += 1
        assert reloads >= 3
        text, _ = bench.communicate(timeout=30)
        assert bench.returncode == 0 and "number of failed transactions: 0 (0.000%)" in text, text
        # One more than its sessions: it asks for the table's size first.
        assert baton.metric("baton_listener_connections_total") == 9


def test_mosquitto_subscribers_hear_everything(start, address):
    host, port = address.rsplit(":", 1)
    with Mosquitto() as server:
        baton = start(relay(address, server.address, supervisor=QUICK))
        subscriber = background("mosquitto_sub", "-h", host, "-p", port, "-t", "news", "-q", "1", "-C", "40", "-W", "30",
                                "-d")
        wait_until(lambda: baton.metric("baton_listener_sent_bytes_total") > 8, 10, "it is subscribed")
        for number in range(40):
            if number % 4 == 0:
                baton.reload("--proxy", (NEXT_PROXY, PROXY)[number % 8 // 4])
            said = run("mosquitto_pub", "-h", "127.0.0.1", "-p", server.port, "-t", "news", "-q", "1", "-m",
                       f"message {number}")
            assert said.code == 0, said
        text, _ = subscriber.communicate(timeout=30)
        heard = [line for line in text.splitlines() if line.startswith("message ")]
        assert heard == [f"message {number}" for number in range(40)], text
        assert baton.metric("baton_listener_connections_total") == 1, "it has connected again"


def test_redis_benchmark(start, address):
    host, port = address.rsplit(":", 1)
    with Redis() as server:
        baton = start(relay(address, server.address, supervisor=QUICK))
        bench = background("redis-benchmark", "-h", host, "-p", port, "-t", "set,get,lpush", "-n", "60000",
                           "-c", "50", "-r", "1000", "--csv")
        reload_while(baton, bench)
        text, _ = bench.communicate(timeout=60)
        assert bench.returncode == 0 and "rror" not in text, text
        assert run("redis-cli", "-h", host, "-p", port, "ping").out == "PONG\n"


@pytest.mark.parametrize("direction", [[], ["--reverse"]], ids=["up", "down"])
def test_iperf3(start, address, direction):
    host, port = address.rsplit(":", 1)
    with Iperf3() as server:
        baton = start(relay(address, server.address, supervisor=QUICK))
        bench = background(program("iperf3"), "-c", host, "-p", port, "-t", "2", "-P", "4", "-J", *direction)
        reload_while(baton, bench)
        text, _ = bench.communicate(timeout=30)
        result = json.loads(text)
        assert bench.returncode == 0 and "error" not in result, text
        end = result["end"]
        assert end["sum_received"]["bytes"] > 100 << 20, end

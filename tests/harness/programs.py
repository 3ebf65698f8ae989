"""Real servers, each in a directory of its own on a free port, as context managers with .address."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from . import processes, sockets
from .ports import free_port
from .waiting import wait_until

SBIN = os.pathsep.join(["/usr/sbin", "/sbin", os.environ.get("PATH", "")])


def program(name):
    """Debian keeps servers where an ordinary user's PATH does not look."""
    found = shutil.which(name, path=SBIN)
    assert found, f"{name} is not installed: scripts/setup"
    return found


class Server:
    """A process in the foreground that is ready once it accepts connections."""

    def __init__(self, name):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        # Not below a test's own directory: a server's unprivileged user must reach it.
        self.directory = Path(tempfile.mkdtemp(prefix=f"baton-test-{name}-", dir="/tmp"))
        self.directory.chmod(0o755)
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self, prefix=()):
        with open(self.directory / "output", "ab") as output:
            self.process = subprocess.Popen([*prefix, *map(str, self.command())], stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output, cwd=self.directory)
        wait_until(self._is_ready, 30, lambda: f"{self.command()}: {self.output()}")
        return self

    def _is_ready(self):
        assert self.process.poll() is None, f"{self.command()}: {self.output()}"
        return sockets.accepts(self.address)

    def output(self):
        return (self.directory / "output").read_text(errors="replace")

    def pids(self):
        """The server and what it has started."""
        return [self.process.pid, *processes.children(self.process.pid)]

    def stop(self, number=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Nginx(Server):
    """Answers every request with a short text, /big with a megabyte and /huge with ten; or relays
    bytes (`stream`), or requests (`proxy_to`)."""

    def __init__(self, relay_to=None, proxy_to=None, connections=4096):
        super().__init__("nginx")
        (self.directory / "big").write_bytes(sockets.pattern(1 << 20))
        (self.directory / "huge").write_bytes(sockets.pattern(10_000_000))
        # Debian's own ones are root's.
        paths = " ".join(f"{kind}_temp_path {self.directory}/{kind};"
                         for kind in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi"))
        answer = f"""
            http {{
              {paths}
              access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
              server {{
                listen {self.address} backlog=4096 reuseport;
                location / {{ return 200 "hello from upstream\\n"; }}
                location /big {{ root {self.directory}; }}
                location /huge {{ root {self.directory}; }}
              }}
            }}"""
        proxy = f"""
            http {{
              {paths}
              access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
              client_max_body_size 0; proxy_buffering off; proxy_request_buffering off;
              upstream back {{ server {proxy_to}; keepalive 128; keepalive_requests 1000000000; }}
              server {{
                listen {self.address} backlog=4096 reuseport;
                location / {{
                  proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection "";
                }}
              }}
            }}"""
        relay = f"""
            stream {{
              server {{ listen {self.address} backlog=4096; proxy_pass {relay_to}; tcp_nodelay on; }}
            }}"""
        (self.directory / "nginx.conf").write_text(f"""
            {"load_module /usr/lib/nginx/modules/ngx_stream_module.so;" if relay_to else ""}
            {"user root;" if os.geteuid() == 0 else ""}
            daemon off; worker_processes 1; pid {self.directory}/pid; error_log stderr warn;
            worker_rlimit_nofile {2 * connections + 256};
            events {{ worker_connections {connections}; }}
            {relay if relay_to else proxy if proxy_to else answer}""")

    def _is_ready(self):
        # The master listens before it has started its worker: the queue accepts, nobody answers yet.
        return super()._is_ready() and processes.children(self.process.pid)

    def command(self):
        return [program("nginx"), "-p", self.directory, "-c", self.directory / "nginx.conf", "-e", "stderr"]


class HAProxy(Server):
    """Relays bytes or HTTP requests, with one thread."""

    def __init__(self, relay_to, connections=4096, mode="tcp"):
        super().__init__("haproxy")
        (self.directory / "haproxy.cfg").write_text(f"""
global
    nbthread 1
    maxconn {connections}
defaults
    mode {mode}
    {"http-reuse always" if mode == "http" else ""}
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    option dontlognull
listen relay
    bind {self.address} backlog 4096
    server upstream {relay_to}
""")

    def command(self):
        return [program("haproxy"), "-db", "-q", "-f", self.directory / "haproxy.cfg"]


class Node(Server):
    """server.js beside this file: bodies both ways, trailers, statuses."""

    def __init__(self):
        super().__init__("node")

    def command(self):
        return [program("node"), Path(__file__).with_name("server.js"), self.address]


class Redis(Server):
    def __init__(self):
        super().__init__("redis")

    def command(self):
        return [program("redis-server"), "--port", self.port, "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--dir", self.directory]


class Mosquitto(Server):
    def __init__(self):
        super().__init__("mosquitto")
        (self.directory / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            f"{'user root' if os.geteuid() == 0 else ''}\n")

    def command(self):
        return [program("mosquitto"), "-c", self.directory / "mosquitto.conf"]


class Iperf3(Server):
    def __init__(self):
        super().__init__("iperf3")

    def command(self):
        return [program("iperf3"), "--server", "--port", self.port, "--bind", "127.0.0.1"]

    def _is_ready(self):
        # A probing connection would be its one test: ask the kernel instead.
        return f" 0100007F:{self.port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


class Postgres(Server):
    """A fresh cluster; PostgreSQL refuses to run as root, so then it runs as its package's user."""

    def __init__(self):
        super().__init__("postgres")
        self.binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.data = self.directory / "data"
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self.user = "postgres"
        if self.as_user:
            shutil.chown(self.directory, "postgres")
        subprocess.run(
            [*self.as_user, self.binaries / "initdb", "-D", self.data, "-U", self.user, "-A", "trust",
             "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd=self.directory)

    def command(self):
        return [*self.as_user, self.binaries / "postgres", "-D", self.data, "-p", self.port,
                "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.directory}",
                "-c", "fsync=off", "-c", "max_connections=50", "-c", "shared_buffers=16MB",
                "-c", "dynamic_shared_memory_type=mmap"]

    def _is_ready(self):
        # It accepts connections, to refuse them, while it starts up.
        said = [self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return super()._is_ready() and subprocess.run(said, check=False).returncode == 0

    def stop(self, number=signal.SIGINT):
        # runuser(1) passes no SIGINT on: the postmaster itself gets the "fast shutdown".
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        super().stop(signal.SIGTERM)

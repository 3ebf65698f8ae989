"""Plays systemd's end of NOTIFY_SOCKET."""

import socket

from .waiting import wait_until


class Listener:
    """Collects the messages of sd_notify, each as a dictionary."""

    def __init__(self, path):
        self.path = path
        self.messages = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def collect(self):
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self.messages
            self.messages.append(dict(line.split("=", 1) for line in text.splitlines()))

    def find(self, **wanted):
        """The messages that hold these variables; True: whatever the value."""
        return [m for m in self.collect()
                if all(name in m and value in (True, m[name]) for name, value in wanted.items())]

    def wait_for(self, count=1, seconds=20, **wanted):
        return wait_until(lambda: len(self.find(**wanted)) >= count and self.find(**wanted), seconds,
                          lambda: f"{count} x {wanted} among {self.messages}")

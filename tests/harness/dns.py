"""A name server of the tests' own: answers what it is told to, and counts who asks for what."""

import socket
import struct
import threading
from collections import Counter

from .ports import free_port

A, AAAA, SRV = 1, 28, 33
NAME_ERROR, SERVER_FAILURE = 3, 2


def _name(text):
    labels = text.rstrip(".").split(".")
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def _data(kind, value):
    if kind == A:
        return socket.inet_aton(value)
    if kind == AAAA:
        return socket.inet_pton(socket.AF_INET6, value)
    priority, weight, port, host = value
    return struct.pack("!HHH", priority, weight, port) + _name(host)


class NameServer:
    """`records`: {(name, kind): [value, ...]}; a name that is in none of them does not exist."""

    def __init__(self, records=None, ttl=1):
        self.address = f"127.0.0.1:{free_port()}"
        self.records = records or {}
        self.ttl = ttl
        self.failing = False
        self.failing_names = set()
        self.failing_records = set()  # of (name, kind)
        self.asked = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        host, port = self.address.split(":")
        self._socket.bind((host, int(port)))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        name, kind = ".".join(labels).lower(), struct.unpack("!H", query[at + 1:at + 3])[0]
        self.asked[name, kind] += 1
        values = self.records.get((name, kind), [])
        code = 0
        if self.failing or name in self.failing_names or (name, kind) in self.failing_records:
            code, values = SERVER_FAILURE, []
        elif not any(known == name for known, _ in self.records):
            code = NAME_ERROR
        header = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(values), 0, 0)
        body = b""
        for value in values:
            data = _data(kind, value)
            body += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(data)) + data
        return header + question + body

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            host, port = self.address.split(":")
            last.sendto(b"", (host, int(port)))
        self._thread.join(5)
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

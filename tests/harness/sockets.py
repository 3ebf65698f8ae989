"""Addresses as Baton writes them, and clients' sockets that never wait for ever."""

import contextlib
import fcntl
import hashlib
import socket
import struct
import sys
import termios

PATIENCE = 20.0  # seconds that one socket call may take before its test fails


def parse(address):
    """"127.0.0.1:80", "[::1]:80", "unix:/path", "unix:@name" -> (family, what connect() and bind() take)."""
    if address.startswith("unix:"):
        name = address[len("unix:"):]
        return socket.AF_UNIX, "\0" + name[1:] if name.startswith("@") else name
    host, _, port = address.rpartition(":")
    if host.startswith("["):
        return socket.AF_INET6, (host.strip("[]"), int(port))
    return socket.AF_INET, (host, int(port))


def connect(address, receive_buffer=None):
    family, target = parse(address)
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(PATIENCE)
    try:
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(target)
    except BaseException:
        client.close()
        raise
    return client


def was_asked_twice(client):
    """Whether the server has not answered the first SYN; of a connection that has sent nothing yet."""
    if client.family == socket.AF_UNIX:
        return False
    total_retransmitted = 100  # its place in struct tcp_info, see tcp(7)
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, total_retransmitted + 4)
    return struct.unpack_from("=I", info, total_retransmitted)[0] > 0


def accepts(address):
    """Whether a connection can be made there now."""
    with contextlib.suppress(OSError):
        connect(address).close()
        return True
    return False


def accepted_inodes(address):
    """Of the sockets of established connections to an IPv4 address, at the server's end."""
    host, port = parse(address)[1]
    local = f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return {int(row[9]) for row in rows if row[1] == local and row[3] == "01"}


def read_all(client):
    """Everything up to the peer's orderly end; a reset raises."""
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def read_exactly(client, count):
    parts, left = [], count
    while left:
        part = client.recv(min(left, 1 << 16))
        if not part:
            raise AssertionError(f"the peer ended {left} of {count} bytes early")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def ask(client, request):
    """One round trip with an echoing upstream."""
    client.sendall(request)
    answer = read_exactly(client, len(request))
    assert answer == request, (request, answer)
    return answer


def reset(client):
    """Closes with a RST instead of a FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def is_closed_by_peer(client):
    """Waits for the peer's end, of either kind; fails if bytes or nothing come instead."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def is_reset_by_peer(client):
    """Waits for the peer's end; whether it is one that nobody takes for a complete stream."""
    try:
        client.recv(1)
        return False
    except ConnectionResetError:
        return True


def unacknowledged(connection):
    """How many bytes the other side's kernel has not acknowledged yet: SIOCOUTQ, tcp(7)."""
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def pattern(count, seed=0):
    """Bytes without a short period, so that a lost or doubled piece shows."""
    block = b"".join(hashlib.sha256(f"{seed}:{i}".encode()).digest() for i in range(2048))
    return (block * (count // len(block) + 1))[:count]

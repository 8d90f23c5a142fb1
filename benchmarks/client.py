"""A minimal HTTP/1.1 client: one request, its whole response, on a socket that stays open."""

import socket
import struct

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # thousands of sockets must not sit in TIME_WAIT


def connect(port):
    peer = socket.create_connection(("127.0.0.1", port), timeout=10)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    return peer


def ask(peer, path="/", body=b""):
    """Send and wait: returns the body. OSError when the peer is gone or the status is not 200."""
    send(peer, path, body)
    return receive(peer)


def send(peer, path="/", body=b""):
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    peer.sendall(head.encode() + b"\r\n" + body)


def receive(peer):
    data = b""
    while b"\r\n\r\n" not in data:
        data += more(peer)
    head, _, body = data.partition(b"\r\n\r\n")
    status, *fields = head.lower().split(b"\r\n")
    if b" 200" not in status:
        raise OSError(f"answered {status.decode(errors='replace')}")
    if b"transfer-encoding: chunked" in fields:
        return receive_chunks(peer, body)
    length = next(int(field[15:]) for field in fields if field.startswith(b"content-length:"))
    while len(body) < length:
        body += more(peer)
    return body


def receive_chunks(peer, data):
    """The body; `data` is the part received so far."""
    body = b""
    while True:
        while b"\r\n" not in data:
            data += more(peer)
        line, _, data = data.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        while len(data) < size + 2:
            data += more(peer)
        body, data = body + data[:size], data[size + 2 :]
        if size == 0:
            return body


def more(peer):
    piece = peer.recv(65536)
    if not piece:
        raise OSError("the server closed the connection")
    return piece


def gone(peer):
    """True when the server has closed a connection that should be idle."""
    peer.setblocking(False)
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True

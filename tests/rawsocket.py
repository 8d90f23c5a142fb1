"""A raw socket with just enough HTTP to read responses; it sends bytes unchanged."""

import socket
import struct
from typing import NamedTuple
from urllib.parse import urlsplit

from harness import HANG


class Answer(NamedTuple):
    """One response as received: header names lower-cased, values as text; `head` has the exact bytes."""

    status: int
    reason: str
    headers: list
    body: bytes
    head: bytes

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        return [value for key, value in self.headers if key == name]


def trusting():
    """A context of TLS that trusts every server."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Raw:
    """A socket with the little HTTP needed to read responses; it sends bytes unchanged."""

    def __init__(self, server, timeout=HANG):
        if isinstance(server, int):
            address = ("127.0.0.1", server)
        elif server.url.startswith("unix:"):
            address = server.url.removeprefix("unix:")
        else:
            address = (urlsplit(server.url).hostname, server.port)
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self.socket = socket.socket(family)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if not isinstance(server, int) and server.url.startswith("https:"):
            self.socket = trusting().wrap_socket(self.socket)
        self._unread = b""

    def send(self, data):
        self.socket.sendall(data)
        return self

    def get(self, target="/", *fields):
        lines = [f"GET {target} HTTP/1.1", "Host: test", *fields, "", ""]
        return self.send("\r\n".join(lines).encode("latin-1"))

    def _more(self):
        piece = self.socket.recv(65536)
        self._unread += piece
        return piece

    def read_until(self, end):
        """Everything up to and including `end`; EOFError when the peer closes before that."""
        while end not in self._unread:
            if not self._more():
                raise EOFError(f"closed after {self._unread!r}")
        at = self._unread.index(end) + len(end)
        taken, self._unread = self._unread[:at], self._unread[at:]
        return taken

    def read_exactly(self, size):
        pieces, missing = [self._unread], size - len(self._unread)
        while missing > 0:
            piece = self.socket.recv(min(missing, 1 << 20))
            if not piece:
                raise EOFError(f"closed {missing} bytes early")
            pieces.append(piece)
            missing -= len(piece)
        data = b"".join(pieces)
        self._unread = data[size:]
        return data[:size]

    def read_all(self):
        """Everything until the peer closes."""
        while self._more():
            pass
        data, self._unread = self._unread, b""
        return data

    def read_response(self, method="GET"):
        """The next response, interim ones included; `method` of the request decides whether a body follows."""
        head = self.read_until(b"\r\n\r\n")
        start, *lines = head[:-4].decode("latin-1").split("\r\n")
        _, status, reason = (start + " ").split(" ", 2)
        pairs = [line.partition(":")[::2] for line in lines]
        answer = Answer(int(status), reason.rstrip(), [(n.lower(), v.strip()) for n, v in pairs], b"", head)
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return answer
        return answer._replace(body=self._body(answer))

    def _body(self, answer):
        if "chunked" in answer.get("transfer-encoding", ""):
            return b"".join(self._chunks())
        if (length := answer.get("content-length")) is not None:
            return self.read_exactly(int(length))
        return self.read_all()

    def _chunks(self):
        while size := int(self.read_until(b"\r\n").split(b";")[0], 16):
            yield self.read_exactly(size)
            assert self.read_exactly(2) == b"\r\n"
        while self.read_until(b"\r\n") != b"\r\n":
            pass

    def close(self):
        self.socket.close()

    def reset(self):
        """Close with a reset, so that the server notices at once."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

"""Parses complete HTTP messages: responses of servers, and requests as a proxy forwards them."""

from typing import NamedTuple


class Incomplete(Exception):
    """The bytes end before the message does."""


class Message(NamedTuple):
    start: str
    fields: list
    body: bytes

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def get(self, name, default=""):
        return ", ".join(self.all(name)) or default

    @property
    def status(self):
        return int(self.start.split(" ")[1])


class Unread:
    """Bytes taken from the front; Incomplete when there are too few."""

    def __init__(self, data):
        self.data = data

    def until(self, end):
        taken, found, rest = self.data.partition(end)
        if not found:
            raise Incomplete
        self.data = rest
        return taken

    def exactly(self, size):
        if len(self.data) < size:
            raise Incomplete
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def rest(self):
        taken, self.data = self.data, b""
        return taken

    def head(self):
        start, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.partition(":")[::2] for line in lines)
        return Message(start, [(name.lower(), value.strip()) for name, value in pairs], b"")

    def body(self, head):
        """The body that the fields declare; None when they declare none."""
        if "chunked" in head.get("transfer-encoding").lower():
            return b"".join(self.chunks())
        if length := head.get("content-length"):
            return self.exactly(int(length))
        return None

    def chunks(self):
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            yield self.exactly(size)
            self.exactly(2)
        while self.until(b"\r\n"):
            pass


def answers(data):
    """The complete responses in `data`, without interim ones. A field `seen` identifies the request of each."""
    unread = Unread(data)
    while unread.data:
        try:
            head = unread.head()
            if head.status < 200:
                continue
            if head.get("seen").startswith("HEAD ") or head.status in (204, 304):
                body = b""
            elif (body := unread.body(head)) is None:
                body = unread.rest()
        except Incomplete:
            return
        yield head._replace(body=body)

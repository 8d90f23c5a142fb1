"""WebSocket frames over a raw socket, valid and invalid."""

import random
import struct
from typing import NamedTuple

from rawsocket import Raw

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1 = 0x80, 0x40
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASKS = random.Random(5)  # fixed: test names contain frames and must be equal in each process of a run
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
FIELDS = (
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Version: 13",
)


class Frame(NamedTuple):
    """One frame from a server: `opcode`, without FIN only when `fragment`, and its payload."""

    opcode: int
    payload: bytes
    fragment: bool = False
    compressed: bool = False


def frame(opcode, payload=b"", fin=FIN, rsv=0, mask=None, masked=True, length=None):
    """A frame as a client sends it; `length` overrides the length that the frame declares."""
    size = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    head = bytes([fin | rsv | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 1 << 16:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if not masked:
        return head + payload
    mask = MASKS.randbytes(4) if mask is None else mask
    return head + mask + masking(payload, mask)


def masking(payload, mask):
    wide = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(wide, "little")).to_bytes(len(payload), "little")


def text(payload, **how):
    return frame(TEXT, payload.encode(), **how)


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


class Peer(Raw):
    """A raw socket after the handshake."""

    def __init__(self, server, target="/", *fields, **options):
        super().__init__(server, **options)
        self.get(target, *FIELDS, *fields)
        self.answer = self.read_response()

    def read_frame(self):
        first, second = self.read_exactly(2)
        assert not second & 0x80, "a server masks nothing"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.read_exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.read_exactly(8))
        return Frame(first & 0x0F, self.read_exactly(size), not first & FIN, bool(first & RSV1))

    def read_close(self):
        """The code and reason of the next frame, which must be a Close, after which the server ends the connection."""
        opcode, payload, *_ = self.read_frame()
        assert opcode == CLOSE, (opcode, payload)
        return (struct.unpack("!H", payload[:2])[0] if payload else None), payload[2:].decode()

    def ended(self):
        """Whether the server sends nothing more before it closes."""
        try:
            return self.read_all() == b""
        except ConnectionResetError:
            return True

"""Messages in both directions, control frames between them, and every protocol error of a peer."""

import os
import random
import threading
import zlib

import pytest

from frames import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, TEXT, Frame, close, frame, text
from wire_apps import QUIET

SIZES = [0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 70_000, 1 << 20]


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    echo.ends.append(message)


echo.ends = []


@pytest.fixture
def peer(serve_by, meet):
    return meet(serve_by(echo, **QUIET))


@pytest.mark.parametrize("size", SIZES)
def test_bytes(peer, size):
    payload = os.urandom(size)
    assert peer.send(frame(BINARY, payload)).read_frame() == Frame(BINARY, payload)


@pytest.mark.parametrize("size", SIZES)
def test_text(peer, size):
    payload = ("aé€😀" * size)[: size // 2]
    payload += "x" * (size - len(payload.encode())) if len(payload.encode()) < size else ""
    assert peer.send(text(payload[:250_000])).read_frame() == Frame(TEXT, payload[:250_000].encode())


def test_every_split_point(peer):
    message = (
        frame(TEXT, "héllo".encode(), fin=0) + frame(PING, b"?") + frame(CONTINUATION, b"!") + frame(BINARY, b"b" * 130)
    )
    want = b"\x8a\x01?" + b"\x81\x07h\xc3\xa9llo!" + b"\x82\x7e\x00\x82" + b"b" * 130
    for at in range(1, len(message)):
        peer.send(message[:at]).send(message[at:])
        assert peer.read_exactly(len(want)) == want, f"cut at {at}"


def test_byte_by_byte(peer):
    payload = os.urandom(300)
    for byte in frame(BINARY, payload):
        peer.send(bytes([byte]))
    assert peer.read_frame() == Frame(BINARY, payload)


def test_many_fragments(peer):
    pieces = [frame(BINARY, b"", fin=0), *(frame(CONTINUATION, b"ab", fin=0) for _ in range(5000)), frame(CONTINUATION)]
    assert peer.send(b"".join(pieces)).read_frame() == Frame(BINARY, b"ab" * 5000)


def test_ten_thousand_messages_at_once(peer):
    """More than may wait for the app, and more than a turn has room for."""
    whole = b"".join(text(f"{i}") for i in range(10_000))
    sender = threading.Thread(target=peer.send, args=(whole,))
    sender.start()
    for i in range(10_000):
        assert peer.read_frame() == Frame(TEXT, b"%d" % i)
    sender.join()


@pytest.mark.parametrize("payload", [b"", b"ping", b"p" * 125])
def test_a_ping_is_answered(peer, payload):
    assert peer.send(frame(PING, payload)).read_frame() == Frame(PONG, payload)


def test_a_pong_that_nobody_asked_for(peer):
    assert peer.send(frame(PONG, b"x") + text("on")).read_frame() == Frame(TEXT, b"on")


WRONG = {
    "a ping of 126": (frame(PING, b"p" * 126), 1002, "the control frame has over 125 bytes"),
    "half a ping": (frame(PING, fin=0), 1002, "the control frame is fragmented"),
    "a reserved bit": (frame(TEXT, b"x", rsv=RSV1), 1002, "a reserved bit is set"),
    "a reserved opcode": (frame(3, b"x"), 1002, "the opcode is reserved"),
    "no mask": (frame(TEXT, b"x", masked=False), 1002, "the frame is not masked"),
    "a continuation of nothing": (frame(CONTINUATION), 1002, "a continuation of no message"),
    "a message within a message": (frame(TEXT, b"x", fin=0) + text("y"), 1002, "a new message within a fragmented one"),
    "no UTF-8": (frame(TEXT, b"\xff"), 1007, "the text is not UTF-8"),
    "no UTF-8, before the frame ends": (
        frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xf4\x90", length=1000),
        1007,
        "the text is not UTF-8",
    ),
    "half a character": (frame(TEXT, "é".encode()[:1]), 1007, "the text is not UTF-8"),
    "half a close code": (frame(CLOSE, b"\x03"), 1002, "half a close code"),
    "a code of nobody": (close(1006), 1002, "the close code is not for the wire"),
    "a reason that is no text": (close(1000, b"\xff"), 1007, "the close reason is not UTF-8"),
    "too large": (frame(BINARY, b"x" * 10, length=(1 << 20) + 1), 1009, "the message is over ws_max_size"),
    "as large as can be": (frame(BINARY, length=(1 << 63) - 1), 1009, "the message is over ws_max_size"),
    "too large in fragments": (
        frame(BINARY, bytes(1 << 19), fin=0) + frame(CONTINUATION, bytes(1 << 19), fin=0) + frame(CONTINUATION, b"x"),
        1009,
        "the message is over ws_max_size",
    ),
}


@pytest.mark.parametrize(("wrong", "code", "reason"), WRONG.values(), ids=WRONG)
def test_a_mistake_of_the_peer(serve, wrong, code, reason, meet):
    echo.ends.clear()
    server = serve(echo, log_level="debug", ws_max_size="1MiB", **QUIET)
    peer = meet(server)
    peer.send(text("before") + wrong)
    assert peer.read_frame() == Frame(TEXT, b"before")
    assert peer.read_close() == (code, reason) and peer.ended()
    server.wait_for_log(f"closed with {code} while open as a websocket")
    peer.close()
    server.stop()
    assert echo.ends == [{"type": "websocket.disconnect", "code": code, "reason": reason}]


def test_ws_max_size(serve, meet):
    peer = meet(serve(echo, ws_max_size=10, **QUIET))
    assert peer.send(text("0123456789")).read_frame() == Frame(TEXT, b"0123456789")
    assert peer.send(text("0123456789a")).read_close()[0] == 1009


# ---- compression ----

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


def deflated(payload, bits=-15):
    packer = zlib.compressobj(wbits=bits)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(payload, bits=-15):
    return zlib.decompressobj(bits).decompress(payload + b"\x00\x00\xff\xff")


def test_compression_is_off(serve, meet):
    peer = meet(serve(echo, **QUIET), "/", OFFER)
    assert peer.answer.get("sec-websocket-extensions") is None
    assert peer.send(frame(TEXT, deflated(b"x"), rsv=RSV1)).read_close()[0] == 1002


@pytest.mark.parametrize("bits", [8, 9, 12, 15])
def test_compressed(serve_by, bits, meet):
    server = serve_by(echo, ws_per_message_deflate=True, **QUIET)
    peer = meet(server, "/", f"{OFFER}; server_max_window_bits={bits}")
    assert "permessage-deflate" in peer.answer.get("sec-websocket-extensions")
    for payload in (b"", b"short", b"repeated " * 100, b"large " * 100_000, os.urandom(10_000)):
        packed = deflated(payload)
        cut = len(packed) // 2
        for message in (
            frame(BINARY, packed, rsv=RSV1),
            frame(BINARY, packed[:cut], fin=0, rsv=RSV1) + frame(PING) + frame(CONTINUATION, packed[cut:]),
            frame(BINARY, payload),
        ):
            echoed = peer.send(message).read_frame()
            if echoed.opcode == PONG:
                echoed = peer.read_frame()
            assert (inflated(echoed.payload, -max(bits, 9)) if echoed.compressed else echoed.payload) == payload
    assert echoed.opcode == BINARY


@pytest.mark.parametrize("bits", [9, 12, 15])
def test_compressed_with_context(serve_by, bits, meet):
    """Messages refer to earlier ones in both directions, no further back than was negotiated."""
    server = serve_by(echo, ws_per_message_deflate=True, ws_deflate_context=True, **QUIET)
    peer = meet(server, "/", f"{OFFER}={bits}; server_max_window_bits={bits}")
    agreed = min(bits, 12)
    assert peer.answer.get("sec-websocket-extensions") == (
        f"permessage-deflate; client_max_window_bits={agreed}; server_max_window_bits={agreed}"
    )
    packer, unpacker = zlib.compressobj(wbits=-agreed), zlib.decompressobj(-agreed)
    chance = random.Random(bits)
    sent = []
    for number in range(200):
        payload = b"".join(b"{'price': %d, 'of': 'what is told often'}" % chance.randrange(10**6) for _ in range(5))
        payload = payload * 300 if number % 50 == 7 else os.urandom(300) if number % 10 == 3 else payload
        packed = (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
        if number % 5 == 1:
            half = len(packed) // 2
            message = frame(BINARY, packed[:half], fin=0, rsv=RSV1) + frame(CONTINUATION, packed[half:])
        else:
            message = frame(BINARY, packed, rsv=RSV1)
        echoed = peer.send(message).read_frame()
        if echoed.compressed:
            sent.append((number, len(payload), len(echoed.payload)))
            assert unpacker.decompress(echoed.payload + b"\x00\x00\xff\xff") == payload
        else:
            assert echoed.payload == payload  # random bytes, which compression does not shorten
    usual = [size for _, length, size in sent if length < 300]
    assert len(usual) > 100 and sum(usual) / len(usual) < 0.6 * usual[0]


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
    ],
)
def test_context_that_a_peer_cannot_keep(serve, offer, answer, meet):
    options = {"ws_per_message_deflate": True, "ws_deflate_context": True}
    peer = meet(serve(echo, **options, **QUIET), "/", f"Sec-WebSocket-Extensions: {offer}")
    assert peer.answer.get("sec-websocket-extensions") == answer
    payload = b"as often as one likes, " * 20
    for _ in range(3):
        echoed = peer.send(frame(TEXT, deflated(payload), rsv=RSV1)).read_frame()
        assert echoed.compressed
        if "server_no" in answer:
            assert inflated(echoed.payload) == payload


@pytest.mark.parametrize(
    ("packed", "code"),
    [(b"\xff\xff\xff", 1007), (deflated(bytes(2 << 20)), 1009), (deflated(b"\xff"), 1007)],
    ids=["garbage", "bomb", "no UTF-8"],
)
def test_what_does_not_inflate(serve, packed, code, meet):
    peer = meet(serve(echo, ws_per_message_deflate=True, ws_max_size="1MiB", **QUIET), "/", OFFER)
    assert peer.send(frame(TEXT, packed, rsv=RSV1)).read_close()[0] == code and peer.ended()


def test_rsv1_of_a_continuation(serve, meet):
    peer = meet(serve(echo, ws_per_message_deflate=True, **QUIET), "/", OFFER)
    peer.send(frame(TEXT, deflated(b"x"), fin=0, rsv=RSV1) + frame(CONTINUATION, fin=FIN, rsv=RSV1))
    assert peer.read_close()[0] == 1002

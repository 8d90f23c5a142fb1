"""How a websocket ends: by either side, by silence, by a drain, by an error of the app; and who waits for whom."""

import asyncio
import socket
import threading
import time

import pytest

from frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, close, frame, text
from harness import wait_until
from saltare import ClientDisconnected, _core
from wire_apps import QUIET

MIB = 1 << 20


def app_of(work):
    """Accepts, does the work, and records the messages received or the exception raised afterwards."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        try:
            app.heard.append(await work(receive, send))
        except Exception as error:
            app.heard.append(error)
            raise

    app.heard = []
    return app


async def listen(receive, send):
    while (message := await receive())["type"] == "websocket.receive":
        pass
    assert (await receive()) == message  # each receive() returns the same message
    return message


def disconnect(code, reason=""):
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


@pytest.mark.parametrize(
    ("said", "answered", "told"),
    [
        (close(), (None, ""), disconnect(1005)),
        (close(1000), (1000, ""), disconnect(1000)),
        (close(4999, "adieu, é".encode()), (4999, ""), disconnect(4999, "adieu, é")),
        (close(1001) + text("more"), (1001, ""), disconnect(1001)),
    ],
)
def test_the_peer_closes(serve_by, said, answered, told, meet):
    app = app_of(listen)
    peer = meet(serve_by(app, **QUIET)).send(said)
    assert peer.read_close() == answered and peer.ended()
    wait_until(lambda: app.heard)
    assert app.heard == [told]


@pytest.mark.parametrize("how", ["end", "reset"])
def test_the_peer_vanishes(serve_by, how, meet):
    app = app_of(listen)
    peer = meet(serve_by(app, **QUIET))
    if how == "reset":
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    wait_until(lambda: app.heard)
    assert app.heard == [disconnect(1006)]


def test_messages_before_the_end_are_heard_first(serve_by, meet):
    async def late(receive, send):
        await asyncio.sleep(0.1)
        return [await receive() for _ in range(3)]

    app = app_of(late)
    meet(serve_by(app, **QUIET)).send(text("a") + frame(BINARY, b"b") + close(3000)).read_close()
    wait_until(lambda: app.heard)
    received = [{"type": "websocket.receive", "text": "a"}, {"type": "websocket.receive", "bytes": b"b"}]
    assert app.heard == [[*received, disconnect(3000)]]


@pytest.mark.parametrize(
    ("message", "said"), [({}, (1000, "")), ({"code": 4001}, (4001, "")), ({"code": 1001, "reason": "é"}, (1001, "é"))]
)
def test_the_app_closes(serve_by, message, said, meet):
    async def leave(receive, send):
        await send({"type": "websocket.close", **message})
        return await receive()

    app = app_of(leave)
    peer = meet(serve_by(app, **QUIET))
    assert peer.read_close() == said
    peer.send(text("not heeded") + frame(PING) + close(1000))
    assert peer.ended()
    assert app.heard == [disconnect(*said)]


def test_an_app_that_returns_has_closed(serve_by, meet):
    async def nothing(receive, send):
        return None

    server = serve_by(app_of(nothing), **QUIET)
    peer = meet(server)
    assert peer.read_close() == (1000, "")
    assert peer.send(close(1000)).ended()
    assert "ERROR" not in server.logs()


def test_an_app_that_raises(serve_by, meet):
    async def fails(receive, send):
        await receive()
        raise ValueError("of the app")

    server = serve_by(app_of(fails), **QUIET)
    peer = meet(server).send(text("x"))
    assert peer.read_close() == (1011, "")
    assert peer.send(close(1011)).ended()
    server.wait_for_log("ValueError: of the app")


def test_sending_to_one_that_has_gone(serve_by, meet):
    async def late(receive, send):
        await receive()
        await send({"type": "websocket.send", "text": "hello?"})

    app = app_of(late)
    server = serve_by(app, **QUIET)
    meet(server).send(close(1000)).read_close()
    wait_until(lambda: app.heard)
    assert isinstance(app.heard[0], ClientDisconnected)
    assert "ERROR" not in server.logs()


def test_a_peer_that_never_answers_our_close(serve, meet):
    async def leave(receive, send):
        await send({"type": "websocket.close"})

    server = serve(app_of(leave), **QUIET)
    peer = meet(server)
    assert peer.read_close() == (1000, "")
    assert peer.ended()  # after CloseTimeout


def test_a_drain(serve_by, meet):
    app = app_of(listen)
    server = serve_by(app, **QUIET)
    peers = [meet(server) for _ in range(20)]
    ended = threading.Thread(target=server.stop)
    ended.start()
    for peer in peers:
        assert peer.read_close() == (1012, "")
        peer.send(close(1012))
        assert peer.ended()
    ended.join()
    assert app.heard == [disconnect(1012)] * 20


# ---- keepalive ----


def test_an_idle_peer_is_asked_whether_it_is_there(serve_by, meet):
    peer = meet(serve_by(app_of(listen), ws_keepalive_timeout=0.2, **QUIET))
    for _ in range(5):
        assert peer.read_frame() == Frame(PING, b"")
        peer.send(frame(PONG))
    peer.send(close(1000))
    while (one := peer.read_frame()).opcode != CLOSE:
        assert one == Frame(PING, b"")


def test_a_silent_peer_is_left(serve_by, meet):
    app = app_of(listen)
    server = serve_by(app, ws_keepalive_timeout=0.2, log_level="debug", **QUIET)
    peer = meet(server)
    assert peer.read_frame() == Frame(PING, b"") and peer.ended()
    wait_until(lambda: app.heard)
    assert app.heard == [disconnect(1006, "ws_keepalive_timeout")]
    server.wait_for_log("ws_keepalive_timeout while open as a websocket")


def test_other_times_do_not_count(serve, meet):
    times = dict.fromkeys(["header_timeout", "keep_alive_timeout", "body_timeout", "write_timeout"], 0.1)
    peer = meet(serve(app_of(listen), max_keepalive_requests=1, **times, **QUIET))
    time.sleep(0.5)
    assert peer.send(frame(PING, b"?")).read_frame() == Frame(PONG, b"?")


def test_a_peer_whose_app_is_slow_is_not_silent(serve, meet):
    go_on = threading.Event()

    async def slow(receive, send):
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        for _ in range(300):
            await receive()
        await send({"type": "websocket.send", "text": "done"})

    peer = meet(serve(app_of(slow), ws_keepalive_timeout=0.1, **QUIET))
    peer.send(frame(BINARY, bytes(1000)) * 300)
    time.sleep(0.5)
    go_on.set()
    while (one := peer.read_frame()).opcode == PING:
        pass
    assert one == Frame(TEXT, b"done")


# ---- who waits for whom ----


def test_send_waits_for_a_peer_that_does_not_read(serve_by, meet):
    """At most 1 MiB and a message are unsent, besides what the kernel holds."""
    said = [0]

    async def flood(receive, send):
        while True:
            await send({"type": "websocket.send", "bytes": bytes(10_000)})
            said[0] += 10_000

    app = app_of(flood)
    peer = meet(serve_by(app, **QUIET))

    def stands_still():
        before = said[0]
        time.sleep(0.1)
        return said[0] == before > 0

    wait_until(stands_still)
    assert _core.live()["borrowed"] <= MIB // 10_000 + 2
    before = said[0]
    for _ in range(before // 10_000 + 50):
        assert peer.read_frame().payload == bytes(10_000)
    assert said[0] > before
    peer.close()
    wait_until(lambda: app.heard)
    assert isinstance(app.heard[0], ClientDisconnected)


def test_a_slow_app_stops_the_reading(serve_by, meet):
    taken, go_on = [0], threading.Event()

    async def slow(receive, send):
        await receive()
        while not go_on.is_set():
            await asyncio.sleep(0.01)
        for _ in range(1999):
            await receive()
            taken[0] += 1
        await send({"type": "websocket.send", "text": "all"})

    peer, sent = meet(serve_by(app_of(slow), **QUIET)), [0]
    message = frame(BINARY, bytes(10_000))

    def send_all():
        for _ in range(2000):
            peer.send(message)
            sent[0] += 1

    sender = threading.Thread(target=send_all)
    sender.start()

    def stands_still():
        before = sent[0]
        time.sleep(0.1)
        return sent[0] == before > 0

    wait_until(stands_still)
    assert sent[0] < 2000
    go_on.set()
    sender.join()
    assert peer.read_frame() == Frame(TEXT, b"all")


@pytest.mark.no_adversary  # it makes many thousands of frames
def test_a_flood_of_pings_that_nobody_reads_pongs_of(serve_by, meet):
    """Once much data is unsent, only the last Ping gets a Pong."""
    peer = meet(serve_by(app_of(listen), **QUIET, ws_keepalive_timeout=0))  # the server's own Pings would disturb
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    for i in range(400):
        peer.send(b"".join(frame(PING, b"%06d" % (i * 100 + k) + b"p" * 119) for k in range(100)))
    last, n = b"", 0
    while last[:6] != b"039999":
        opcode, last, *_ = peer.read_frame()
        n += 1
        assert opcode == PONG
    assert n <= 40_000
    assert peer.send(close(1000)).read_close() == (1000, "")

"""Everything the bridge does, repeated: afterwards no object, reference or memory block is left over."""

import asyncio
import gc
import socket
import sys
import time

import pytest

import saltare
import test_messages
import test_websocket
from bare import BODY, GET, Bare, new_core, post, result, waits
from frames import BINARY, CONTINUATION, close, frame, text
from harness import HANG
from rawsocket import Raw
from saltare._core import live

pytestmark = pytest.mark.no_adversary
LARGE = {"type": "http.response.body", "body": bytes(300_000), "more_body": True}
STREAM = {"type": "http.response.start", "status": 200, "headers": []}
ROUNDS = 20


def answered(bare):
    for request in (GET, post(b"abc"), b"GET /p%C3%A4th?q=1 HTTP/1.0\r\nX-Own: 1\r\n\r\n"):
        peer, exchange = bare.ask(request)
        result(exchange.receive())
        bare.answer(exchange)
        assert peer.read_response().body == b"ok"
        peer.close()


def in_pieces(bare):
    peer, exchange = bare.ask(post(b"ab", length=4))
    result(exchange.receive())
    waiting = exchange.receive()
    future = waits(waiting)
    peer.send(b"cd")
    bare.until(future.done)
    result(waiting)
    exchange.send({**STREAM, "headers": [[bytes([97, 98]), bytes([99, 100])], iter((b"e", b"f"))]})
    for body in (b"x", bytes(10_000), bytearray(10_000), memoryview(b"y")):
        exchange.send({**BODY, "body": body, "more_body": True})
    exchange.send(BODY)
    peer.read_response()
    peer.close()


def given_up(bare):
    peer, exchange = bare.ask(post(length=2))
    exchange.receive().close()
    exchange.send(STREAM)
    for awaitable in (exchange.receive(), exchange.send(LARGE), exchange.receive()):
        waits(awaitable).cancel()
        try:
            awaitable.throw(asyncio.CancelledError)
        except asyncio.CancelledError:
            pass
    exchange.fail()
    peer.close()


def gone(bare):
    peer, exchange = bare.ask(post(length=2))
    exchange.send(STREAM)
    waiting = [exchange.receive(), exchange.receive(), exchange.send(LARGE)]
    for awaitable in waiting:
        waits(awaitable)
    peer.close()
    bare.until(lambda: exchange.gone)
    for awaitable in waiting:
        try:
            result(awaitable)
        except saltare.ClientDisconnected:
            pass


def refused(bare):
    for mark in test_messages.test_a_message_that_is_refused_leaves_no_trace.pytestmark:
        peer, exchange = bare.ask()
        for message, error, _ in mark.args[1]:
            try:
                exchange.send(message)
            except error:
                pass
        bare.answer(exchange)
        assert peer.read_response().body == b"ok"
        peer.close()


def failing(bare):
    hook, sys.unraisablehook = sys.unraisablehook, lambda error: None
    try:
        for attribute in ("dispatch", "create_future", "wake", "log", "state"):
            before = getattr(bare.core, attribute)
            setattr(bare.core, attribute, lambda *_: 1 / 0)
            peer = bare.connect().get()
            for _ in range(3):
                bare.core.poll(0.001)
            for exchange in bare.exchanges[-1:]:
                for act in (exchange.fail, exchange.receive().close):
                    try:
                        act()
                    except ZeroDivisionError:
                        pass
            peer.close()
            if before is None:
                delattr(bare.core, attribute)
            else:
                setattr(bare.core, attribute, before)
    finally:
        sys.unraisablehook = hook


def watched(bare):
    left, right = socket.socketpair()
    for mask in (1, 2, 3):
        bare.core.watch(left.fileno(), mask, object())
        right.send(b"x")
        bare.core.poll(0)
    bare.core.unwatch(left.fileno())
    for call in (bare.core.unwatch, lambda fd: bare.core.watch(fd, 1, None)):
        left.close()
        try:
            call(left.fileno())
        except (KeyError, OSError):
            pass
    right.close()


def opened(bare):
    for options in ({}, {"max_request_body": 1}, {"unknown": 1}, {"guest": 1 << 70}):
        try:
            new_core(**options).poll(0)
        except (TypeError, OverflowError):
            pass
    other = Bare()
    other.ask(post(length=3))[1].send(STREAM)
    other.exchanges[0].send(LARGE)
    other.core.drain()
    other.core.poll(0)
    other.core.stats(), live()
    other.close()


def sockets(bare):
    peer, socket = test_websocket.meet(bare)
    waiting = socket.receive()
    future = waits(waiting)
    peer.send(text("é" * 100) + frame(BINARY, b"b", fin=0) + frame(CONTINUATION, bytes(10_000)) + text("not received"))
    bare.until(future.done)
    assert len(result(waiting)["text"]) == 100
    for message in ({"bytes": bytes(10_000)}, {"text": "é" * 10_000}, {"bytes": bytearray(10)}):
        socket.send({"type": "websocket.send", **message})
        peer.read_frame()
    peer.send(frame(BINARY, b"half", fin=0) + close(3000, b"why"))
    bare.until(lambda: socket.gone)
    peer.close()
    for _, message, _, _ in test_websocket.MISTAKES:
        peer, socket = test_websocket.meet(bare, accept=False)
        try:
            socket.send(message)
            socket.send(message)
        except saltare.errors.ResponseError:
            pass
        socket.fail()
        peer.close()


WORK = [sockets, answered, in_pieces, given_up, gone, refused, failing, watched, opened]


def objects():
    gc.collect()
    return sys.getallocatedblocks()


def references():
    gc.collect()
    return sys.gettotalrefcount()


def tidy(bare):
    """Objects that the harness itself keeps."""
    bare.exchanges.clear(), bare.scopes.clear(), bare.lines.clear()
    bare.peers.clear()
    for _ in range(3):
        bare.core.poll(0)


COUNTS = [objects] + [references] * hasattr(sys, "gettotalrefcount")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("work", WORK)
def test_nothing_is_left_of(bare, work, count):
    def rounds():
        for _ in range(ROUNDS):
            work(bare)
            tidy(bare)
        return count()

    rounds()
    grown = [-rounds() + rounds() for _ in range(4)]
    # A leak grows by ROUNDS each time; the interpreter's caches grow by a few, now and then.
    assert min(grown) < ROUNDS / 2, grown
    assert live()["exchanges"] == live()["awaitables"] == live()["borrowed"] == 0


@pytest.mark.parametrize("count", COUNTS)
def test_nothing_is_left_of_a_server(serve, count):
    async def app(scope, receive, send):
        task = asyncio.create_task(receive())
        await asyncio.sleep(0)
        message = await task
        waiting = asyncio.create_task(receive())
        await asyncio.sleep(0)
        if scope["path"] == "/fail":
            raise ValueError
        await send(STREAM)
        await send({**BODY, "body": message["body"] * 10, "more_body": True})
        await send(BODY)
        assert (await waiting)["type"] == "http.disconnect"

    server = serve(app, lifespan="off", log_level="critical")

    def rounds():
        for _ in range(ROUNDS):
            with Raw(server) as peer:
                for target in (b"/", b"/fail"):
                    peer.send(post(b"a" * 1000).replace(b"/", target, 1)).read_response()
        deadline = time.monotonic() + HANG
        while live()["exchanges"] or live()["connections"]:
            assert time.monotonic() < deadline, live()
            time.sleep(0.001)
        return count()

    rounds()
    grown = [-rounds() + rounds() for _ in range(4)]
    assert min(grown) < ROUNDS / 2, grown

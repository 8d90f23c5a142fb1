"""Peers that take too long. Timeouts are small and only their effect is awaited, so nothing here has to be fast."""

import asyncio
import threading
import time

import pytest

from harness import wait_until
from wire_apps import (
    CONTINUE,
    QUIET,
    answer,
    answered,
    body_of,
    chunk,
    get,
    hello,
    mirror,
    piece,
    post,
    post_chunked,
    refused,
    start,
)

OK = answered(b"hello")
TOO_LATE = refused("408 Request Timeout")
OFF = {"header_timeout": 0, "keep_alive_timeout": 0, "body_timeout": 0, "write_timeout": 0}
SOON = 0.15  # seconds


def only(name):
    return {**QUIET, **OFF, name: SOON}


@pytest.mark.parametrize("begun", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n"])
def test_a_head_that_never_gets_complete(serve_by, raw, begun):
    assert raw(serve_by(hello, **only("header_timeout"))).send(begun).read_all() == TOO_LATE


def test_a_head_that_trickles(serve, raw):
    """The time limit is for the whole head, however many pieces it comes in."""
    client = raw(serve(hello, **only("header_timeout")))
    done = threading.Event()

    def trickle():
        for byte in get("/", "A: " + "x" * 1000):
            if done.wait(SOON / 10):
                return
            client.send(bytes([byte]))

    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        assert client.read_all() == TOO_LATE
    finally:
        done.set()
        sender.join()


def test_a_second_head_has_its_own_time(serve, raw):
    """It counts from the first byte, not from the previous response."""
    client = raw(serve(hello, **only("header_timeout")))
    for _ in range(3):
        assert client.send(get()).read_exactly(len(OK)) == OK
        time.sleep(SOON * 2)
    assert client.send(get()[:-1]).read_all() == TOO_LATE


def test_half_a_pipelined_head(serve_by, raw):
    client = raw(serve_by(hello, **only("header_timeout")))
    assert client.send(get() + get()[:-1]).read_all() == OK + TOO_LATE


def test_an_idle_connection(serve_by, raw):
    client = raw(serve_by(hello, **only("keep_alive_timeout")))
    for _ in range(3):
        assert client.send(get()).read_exactly(len(OK)) == OK
    assert client.read_all() == b""


def test_a_connection_that_is_used_is_not_idle(serve, raw):
    client = raw(serve(hello, **only("keep_alive_timeout")))
    for _ in range(8):
        time.sleep(SOON / 3)
        assert client.send(get()).read_exactly(len(OK)) == OK


@pytest.mark.parametrize(
    "begun",
    [
        post(b"", length=5),
        post(b"hell", length=5),
        post_chunked(end=b""),
        post_chunked(b"hello", end=b""),
        post_chunked(b"hello", end=b"0\r\n"),
    ],
)
def test_a_body_that_never_gets_complete(serve_by, raw, begun):
    seen = []

    async def app(scope, receive, send):
        seen.append(await body_of(receive))

    server = serve_by(app, **only("body_timeout"))
    client = raw(server).send(begun)
    assert client.read_all() == TOO_LATE
    client.close()
    server.stop()
    assert seen == [None]


def test_a_body_that_goes_on_slowly(serve, raw):
    client = raw(serve(mirror, **only("body_timeout"))).send(post(b"", length=10))
    for _ in range(10):
        time.sleep(SOON / 3)
        client.send(b"x")
    expected = answered(b"/ " + b"x" * 10)
    assert client.read_exactly(len(expected)) == expected


def test_a_body_that_stops_behind_the_beginning_of_an_answer(serve, raw):
    async def app(scope, receive, send):
        await start(send)
        await piece(send, b"so far")
        await body_of(receive)

    client = raw(serve(app, **only("body_timeout"))).send(post(b"", length=5))
    client.read_until(chunk(b"so far"))
    assert client.read_all() == b""


def test_a_body_that_nobody_reads_and_that_stops(serve, raw):
    client = raw(serve(hello, **only("body_timeout"))).send(post(b"", length=5))
    assert client.read_all() == OK


def test_an_app_may_take_its_time(serve_by, raw):
    """No timeout runs while the app has the request: neither after it has read it, nor while it does not read."""

    async def app(scope, receive, send):
        if scope["path"] == "/read":
            await body_of(receive)
        await asyncio.sleep(SOON * 4)
        await mirror(scope, receive, send) if scope["path"] != "/read" else await answer(send, b"hello")

    server = serve_by(app, **QUIET, header_timeout=SOON, keep_alive_timeout=SOON, body_timeout=SOON, write_timeout=SOON)
    read, unread, expecting = raw(server), raw(server), raw(server)
    read.send(post(b"hello", target="/read"))
    unread.send(post(b"x" * 300_000))
    expecting.send(post(b"", "Expect: 100-continue", length=2))
    assert read.read_exactly(len(OK)) == OK
    expected = answered(b"/ " + b"x" * 300_000)
    assert unread.read_exactly(len(expected)) == expected
    assert expecting.read_exactly(len(CONTINUE)) == CONTINUE
    assert expecting.send(b"hi").read_exactly(len(answered(b"/ hi"))) == answered(b"/ hi")


def test_a_peer_that_reads_nothing(serve_by, raw):
    ended = []

    async def app(scope, receive, send):
        await start(send)
        try:
            while True:
                await piece(send, b"x" * 100_000)
        except OSError as error:
            ended.append(type(error).__name__)
            raise

    server = serve_by(app, **only("write_timeout"))
    client = raw(server).send(get())
    wait_until(lambda: ended)
    assert ended == ["ClientDisconnected"]
    with pytest.raises(ConnectionResetError):
        client.read_all()
    assert "ERROR" not in server.logs()


def test_a_complete_answer_that_nobody_reads(serve, raw):
    """The app is long gone; the connection and the borrowed bytes are released all the same."""
    from saltare import _core

    server = serve(big_answer, **only("write_timeout"))
    client = raw(server).send(get())
    wait_until(lambda: _core.live()["queues"] == 1)
    wait_until(lambda: _core.live()["queues"] == _core.live()["borrowed"] == _core.live()["connections"] == 0)
    with pytest.raises(ConnectionResetError):
        client.read_all()


async def big_answer(scope, receive, send):
    await answer(send, b"x" * (64 << 20))


def test_a_peer_that_reads_slowly(serve, raw):
    """As long as the client reads something now and then, it gets the whole response, even after several timeouts."""
    client = raw(serve(big_answer, **only("write_timeout") | {"write_timeout": 1})).send(get())
    client.read_until(b"\r\n\r\n")
    for _ in range(20):
        client.read_exactly(200_000)
        time.sleep(0.1)
    assert client.read_exactly((64 << 20) - 4_000_000) == b"x" * ((64 << 20) - 4_000_000)


def test_no_timeout_at_all(serve, raw):
    client = raw(serve(hello, **QUIET, **OFF)).send(get()[:-1])
    time.sleep(0.5)
    assert client.send(get()[-1:]).read_exactly(len(OK)) == OK
    time.sleep(0.5)
    assert client.send(get()).read_exactly(len(OK)) == OK


def test_timeouts_are_logged_when_debugging(serve, raw):
    server = serve(hello, **only("header_timeout"), log_level="debug")
    raw(server).send(b"GET").read_all()
    server.wait_for_log("header_timeout")
    assert "answered 408 while reading the request head" in server.logs()

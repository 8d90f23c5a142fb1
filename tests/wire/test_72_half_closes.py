"""Clients that half-close and wait for the response, as `nc -N`, socat and health checkers do."""

import asyncio
import socket
import threading

import pytest

import saltare
from harness import HANG, wait_until
from saltare import _core
from wire_apps import (
    QUIET,
    answer,
    answered,
    answered_last,
    body_of,
    chunk,
    eventually,
    get,
    hello,
    piece,
    post,
    post_chunked,
    start,
    until_gone,
)

OK = answered(b"hello")
CLOSING = answered_last(b"hello")


def nothing_open():
    names = ("connections", "streams", "buffers", "queues", "exchanges", "borrowed")
    wait_until(lambda: not any(_core.live()[name] for name in names), lambda: f"left: {_core.live()}")


def half_close(client):
    client.socket.shutdown(socket.SHUT_WR)
    return client


@pytest.mark.parametrize("message", [get(), post(b"body"), post_chunked(b"bo", b"dy")], ids=["GET", "POST", "chunked"])
@pytest.mark.parametrize("how", ["tcp", "unix"])
def test_the_answer_comes(serve_by, raw, tmp_path, message, how):
    """The response is complete, and announces the close."""

    async def app(scope, receive, send):
        assert await body_of(receive) == (b"" if scope["method"] == "GET" else b"body")
        await hello(scope, receive, send)

    where = {"uds_path": str(tmp_path / "socket")} if how == "unix" else {}
    server = serve_by(app, **QUIET, **where)
    for _ in range(10):
        assert half_close(raw(server).send(message)).read_all() in (CLOSING, OK)
    nothing_open()
    assert "ERROR" not in server.logs()


@pytest.mark.parametrize("asks", [True, False], ids=["asks", "does not ask"])
def test_the_answer_comes_late(serve_by, raw, asks):
    """Whether or not the app has received the client's half-close."""
    told, go = threading.Event(), threading.Event()

    async def app(scope, receive, send):
        if asks:
            await until_gone(receive)
            told.set()
        await eventually(go.is_set)
        await hello(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect" or not asks

    client = half_close(raw(serve_by(app, **QUIET)).send(get()))
    if asks:
        assert told.wait(HANG)
    else:
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.read_exactly(1)
        client.socket.settimeout(HANG)
    go.set()
    assert client.read_all() == CLOSING
    nothing_open()


def test_receive_gives_the_disconnect_behind_the_body_again_and_again(serve, raw):
    seen = []

    async def app(scope, receive, send):
        seen.extend([await receive() for _ in range(4)])
        await hello(scope, receive, send)

    assert half_close(raw(serve(app, **QUIET)).send(post(b"body"))).read_all() == CLOSING
    assert seen == [{"type": "http.request", "body": b"body", "more_body": False}] + [{"type": "http.disconnect"}] * 3


def test_the_app_is_told_once_it_has_been_silent(serve_by, raw):
    """An app that stops at a disconnect, as frameworks do, has sent its response by then."""
    ends = []

    async def app(scope, receive, send):
        await body_of(receive)
        leaving = asyncio.ensure_future(receive())
        await start(send)
        for number in range(20):
            await piece(send, b"%d" % number)
            await asyncio.sleep(0.1)
            ends.append(leaving.done())
        await piece(send, b"", more=False)
        assert (await leaving)["type"] == "http.disconnect"

    client = half_close(raw(serve_by(app, **QUIET)).send(get()))
    client.read_until(b"\r\n\r\n")
    assert client.read_all() == b"".join(chunk(b"%d" % number) for number in range(20)) + b"0\r\n\r\n"
    assert ends == [False] * 20


def test_an_app_that_responds_again_after_its_disconnect(serve_by, raw):
    """As MCP does at the end of a stream over SSE: that is no mistake, but its end."""
    raised = []

    async def app(scope, receive, send):
        await start(send)
        await until_gone(receive)
        try:
            await start(send)
        except saltare.ClientDisconnected as error:
            raised.append(type(error))
            raise

    server = serve_by(app, **QUIET)
    client = half_close(raw(server).send(get()))
    client.read_until(b"\r\n\r\n")
    assert client.read_all() == b""
    nothing_open()
    assert raised and "ERROR" not in server.logs()


def test_an_app_that_waits_for_it_in_several_tasks(serve_by, raw):
    async def app(scope, receive, send):
        await body_of(receive)
        waiting = [asyncio.ensure_future(receive()) for _ in range(3)]
        await start(send)
        await piece(send, b"begun")
        assert {message["type"] for message in await asyncio.gather(*waiting)} == {"http.disconnect"}
        await piece(send, b"ended", more=False)

    client = raw(serve_by(app, **QUIET)).send(get())
    client.read_until(chunk(b"begun"))
    assert half_close(client).read_all() == chunk(b"ended") + b"0\r\n\r\n"


def test_pipelined_requests_are_answered_in_order(serve_by, raw):
    async def app(scope, receive, send):
        await asyncio.sleep(0.002)
        await answer(send, scope["path"].encode())

    client = half_close(raw(serve_by(app, **QUIET)).send(b"".join(get(f"/{i}") for i in range(50))))
    parts = [answered(b"/%d" % i) for i in range(49)]
    assert client.read_all() == b"".join(parts) + answered_last(b"/49")


def test_a_large_answer_that_is_read_slowly(serve_by, raw):
    size = 20 << 20

    async def app(scope, receive, send):
        await start(send, (b"content-length", b"%d" % size))
        for _ in range(size >> 16):
            await piece(send, b"x" * 65536)
        await piece(send, b"", more=False)

    client = half_close(raw(serve_by(app, **QUIET)).send(get()))
    client.read_until(b"\r\n\r\n")
    assert client.read_all() == b"x" * size
    nothing_open()


@pytest.mark.parametrize("begun", [get()[:-1], post(b"half", length=8), post_chunked(b"half", end=b"")])
def test_a_request_that_will_never_be_whole(serve_by, raw, begun):
    """There is nothing to wait for."""
    seen = []

    async def app(scope, receive, send):
        seen.append(await body_of(receive))
        with pytest.raises(saltare.ClientDisconnected):
            await start(send)

    server = serve_by(app, **QUIET, asgi_spec_version="2.5")
    assert half_close(raw(server).send(begun)).read_all() == b""
    wanted = [None] * begun.startswith(b"POST")
    wait_until(lambda: len(seen) == len(wanted))
    nothing_open()
    assert seen == wanted


def test_a_client_that_closes_both_sides(serve_by, raw):
    """It looks like a half-close until the server writes."""
    raised = []

    async def app(scope, receive, send):
        await until_gone(receive)
        try:
            await start(send)
            while True:
                await piece(send, b"x")
                await asyncio.sleep(0.001)
        except saltare.ClientDisconnected as error:
            raised.append(type(error))

    server = serve_by(app, **QUIET)
    for _ in range(10):
        raw(server).send(get()).close()
    wait_until(lambda: len(raised) == 10)
    nothing_open()
    assert raised == [saltare.ClientDisconnected] * 10
    assert "ERROR" not in server.logs()


def test_a_stop_waits_for_such_an_answer(serve, raw):
    begun, go = threading.Event(), threading.Event()

    async def app(scope, receive, send):
        begun.set()
        await eventually(go.is_set)
        await hello(scope, receive, send)

    server = serve(app, **QUIET)
    client = half_close(raw(server).send(get()))
    assert begun.wait(HANG)
    server.server.shutdown()
    go.set()
    assert client.read_all() == CLOSING
    server.stop()

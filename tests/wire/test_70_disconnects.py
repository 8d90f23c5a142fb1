"""Clients that disconnect: at every byte of a request, in the middle of a response, with FIN and with RST."""

import asyncio
import gc
import socket
import struct
import threading

import pytest

import saltare
from harness import HANG, wait_until
from saltare import _core
from wire_apps import (
    QUIET,
    Recorder,
    answered,
    body_of,
    chunk,
    get,
    hello,
    piece,
    post,
    post_chunked,
    start,
    until_gone,
)

OK = answered(b"hello")
AT_ONCE = {"asgi_spec_version": "2.5"}  # send() raises as soon as the peer has gone


def fin(client):
    client.close()


def rst(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def connect(server):
    client = socket.create_connection(("127.0.0.1", server.port), HANG)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def nothing_open():
    """Waits until the server holds nothing of any client; the collector frees the app's own cycles."""
    names = ("connections", "streams", "buffers", "queues", "exchanges", "borrowed")

    def left():
        gc.collect()
        return any(_core.live()[name] for name in names)

    wait_until(lambda: not left(), lambda: f"left: {_core.live()}")


REQUESTS = {
    "GET": get("/", "Accept: */*"),
    "POST": post(b"hello world"),
    "chunked POST": post_chunked(b"hello", b" world", end=b"0\r\nT: x\r\n\r\n"),
}


@pytest.mark.parametrize("leave", [fin, rst])
@pytest.mark.parametrize("name", REQUESTS)
def test_at_every_byte_of_a_request(serve_by, raw, name, leave):
    """The app sees the whole body or a disconnect, never a shortened body, and other clients never notice."""
    message = REQUESTS[name]
    bodies = []

    async def app(scope, receive, send):
        if scope["path"] == "/other":
            return await hello(scope, receive, send)
        bodies.append(await body_of(receive))
        await until_gone(receive)
        with pytest.raises(saltare.ClientDisconnected):  # at once, or once the peer's reset has arrived
            await start(send)
            while True:
                await piece(send, b"x")
                await asyncio.sleep(0.001)
        with pytest.raises(OSError):
            await piece(send, b"x")
        return None

    app = Recorder(app)
    server = serve_by(app, **QUIET, max_keepalive_requests=0)
    other = raw(server)
    for size in range(len(message) + 1):
        client = connect(server)
        client.sendall(message[:size])
        leave(client)
        assert other.send(get("/other")).read_exactly(len(OK)) == OK
    other.close()
    body = b"" if name == "GET" else b"hello world"
    if leave is fin:  # a reset may discard unread data
        wait_until(lambda: body in bodies)
    nothing_open()
    assert set(bodies) <= {None, body}
    assert bodies.count(body) <= 1
    assert set(app.outcomes) == {"returned"}
    assert "ERROR" not in server.logs()


@pytest.mark.parametrize("leave", [fin, rst])
def test_while_the_app_waits_for_more(serve_by, leave):
    waiting, seen = threading.Event(), []

    async def app(scope, receive, send):
        seen.append(await receive())
        waiting.set()
        seen.append(await receive())
        seen.append(await receive())

    client = connect(serve_by(app, **QUIET))
    client.sendall(post(b"half", length=8))
    assert waiting.wait(HANG)
    leave(client)
    nothing_open()
    assert seen == [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]


@pytest.mark.parametrize("leave", [fin, rst])
@pytest.mark.parametrize("read", [0, 1, 100, 10_000, 3_000_000])
def test_in_the_middle_of_an_answer(serve_by, read, leave):
    """send() raises, also when it waits for room."""
    begun, raised = threading.Event(), []

    async def app(scope, receive, send):
        begun.set()
        await start(send)
        try:
            while True:
                await piece(send, b"x" * 65536)
        except saltare.ClientDisconnected as error:
            raised.append(type(error))
            raise

    server = serve_by(app, **QUIET)
    client = connect(server)
    client.sendall(get())
    assert begun.wait(HANG)
    while read > 0:
        read -= len(client.recv(min(read, 65536)))
    leave(client)
    wait_until(lambda: raised)
    nothing_open()
    assert raised == [saltare.ClientDisconnected]
    assert "ERROR" not in server.logs()


@pytest.mark.parametrize("leave", [fin, rst])
@pytest.mark.parametrize("version", ["2.3", "2.5"])
def test_while_a_send_waits_for_room(serve_by, leave, version):
    stuck, outcomes = threading.Event(), []

    async def app(scope, receive, send):
        await start(send)
        while True:
            sending = asyncio.ensure_future(
                send({"type": "http.response.body", "body": b"x" * 200_000, "more_body": True})
            )
            done, _ = await asyncio.wait([sending], timeout=0.1)
            if not done:
                break
        stuck.set()
        try:
            await sending
            outcomes.append("ignored")
        except saltare.ClientDisconnected:
            outcomes.append("gone")
        outcomes.append((await receive())["type"])
        outcomes.append((await receive())["type"])

    client = connect(serve_by(app, **QUIET, asgi_spec_version=version))
    client.sendall(get())
    assert stuck.wait(HANG)
    leave(client)
    nothing_open()
    assert outcomes[0] == ("gone" if version == "2.5" else "ignored")
    assert outcomes[-1] == "http.disconnect"


@pytest.mark.parametrize(("version", "ignored"), [("2.3", 63), ("2.5", 0)])
@pytest.mark.parametrize("begins", [True, False], ids=["begun", "not begun"])
def test_send_ignores_a_peer_that_has_gone_but_not_for_ever(serve_by, version, ignored, begins):
    """As other servers of ASGI 2.3 do; an app that goes on regardless is ended by its 64th message."""
    begun, sent = threading.Event(), []

    async def app(scope, receive, send):
        if begins:
            await start(send)
        begun.set()
        await until_gone(receive)
        if not begins:
            await start(send)
            sent.append("start")
        for _ in range(1000):
            await piece(send, b"x")
            sent.append("piece")

    server = serve_by(app, **QUIET, asgi_spec_version=version, log_level="debug")
    client = connect(server)
    client.sendall(get())
    assert begun.wait(HANG)
    rst(client)
    server.wait_for_log("has gone: ClientDisconnected")
    nothing_open()
    assert len(sent) == ignored
    assert "ERROR" not in server.logs()


def test_an_app_that_answers_a_peer_that_has_gone(serve_by):
    """It need not know: the log has nothing of it."""
    begun, outcomes = threading.Event(), []

    async def app(scope, receive, send):
        begun.set()
        await until_gone(receive)
        await hello(scope, receive, send)
        await send({"type": "http.response.trailers"})  # not even of messages that are out of order
        outcomes.append("returned")

    server = serve_by(app, **QUIET, log_level="debug")
    client = connect(server)
    client.sendall(get())
    assert begun.wait(HANG)
    rst(client)
    wait_until(lambda: outcomes)
    nothing_open()
    assert "has gone" not in server.logs() and "ERROR" not in server.logs()


@pytest.mark.parametrize("leave", [fin, rst])
def test_during_a_complete_answer(serve_by, leave):
    """The app has returned; its unsent data is freed."""

    async def app(scope, receive, send):
        await start(send)
        await piece(send, b"x" * (32 << 20), more=False)

    client = connect(serve_by(app, **QUIET))
    client.sendall(get())
    client.recv(1)
    leave(client)
    nothing_open()


def test_a_task_that_waits_for_the_disconnect_beside_the_answer(serve_by, raw):
    """As frameworks do. A complete response ends the wait as well."""
    ends = []

    async def app(scope, receive, send):
        await body_of(receive)
        leaving = asyncio.ensure_future(receive())
        await start(send)
        await piece(send, b"begun")
        if scope["path"] == "/left":
            ends.append((scope["path"], (await leaving)["type"]))
            return
        await asyncio.sleep(0.01)
        await piece(send, b"", more=False)
        ends.append((scope["path"], (await leaving)["type"]))

    server = serve_by(app, **QUIET)
    client = raw(server).send(get("/stays"))
    client.read_until(b"0\r\n\r\n")
    client.send(get("/left")).read_until(chunk(b"begun"))
    client.close()
    nothing_open()
    assert ends == [("/stays", "http.disconnect"), ("/left", "http.disconnect")]


def test_an_app_that_raises_because_its_client_left(serve):
    """It is not an error of the app: only a debug line is logged, also when another exception wraps it."""

    async def app(scope, receive, send):
        await until_gone(receive)
        try:
            await start(send)
        except OSError as error:
            raise RuntimeError("could not send") from error

    server = serve(app, **QUIET, **AT_ONCE, log_level="debug")
    client = connect(server)
    client.sendall(get())
    rst(client)
    server.wait_for_log("has gone")
    nothing_open()
    assert "ERROR" not in server.logs()


def test_an_app_with_another_error_after_its_client_left(serve):
    async def app(scope, receive, send):
        await until_gone(receive)
        raise ValueError("of its own")

    server = serve(app, **QUIET)
    client = connect(server)
    client.sendall(get())
    client.close()
    server.wait_for_log("ValueError: of its own")


def test_a_crowd_that_leaves_at_once(serve_by, raw):
    app = Recorder(
        lambda scope, receive, send: hello(scope, receive, send) if scope["path"] == "/other" else until_gone(receive)
    )
    server = serve_by(app, **QUIET)
    crowd = [connect(server) for _ in range(200)]
    for client in crowd:
        client.sendall(get())
    wait_until(lambda: _core.live()["exchanges"] == len(crowd))
    for number, client in enumerate(crowd):
        (fin, rst)[number % 2](client)
    nothing_open()
    assert app.outcomes == ["returned"] * len(crowd)
    assert raw(server).send(get("/other")).read_exactly(len(OK)) == OK

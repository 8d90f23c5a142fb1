"""Responses without a declared length when the server stops: silent ones may be endless."""

import asyncio
import threading

import pytest

from harness import HANG, wait_until
from saltare import ClientDisconnected
from saltare._core import live
from wire_apps import QUIET, body_of, chunk, get, piece, start, until_gone


class Streams:
    """Begins a response, then sends what the test says or waits; it stops at a disconnect, as frameworks do."""

    def __init__(self, *headers):
        self.headers = headers
        self.loop = self.more = None
        self.ends = []

    async def __call__(self, scope, receive, send):
        self.loop, self.more = asyncio.get_running_loop(), asyncio.Queue()
        await body_of(receive)
        leaving = asyncio.ensure_future(until_gone(receive))
        await start(send, *self.headers)
        await piece(send, b"begun")
        while not leaving.done():
            next_one = asyncio.ensure_future(self.more.get())
            await asyncio.wait([leaving, next_one], return_when=asyncio.FIRST_COMPLETED)
            if next_one.done():
                await piece(send, next_one.result(), more=next_one.result() != b"end")
                if next_one.result() == b"end":
                    self.ends.append("complete")
                    return
        self.ends.append("left")

    def say(self, data):
        self.loop.call_soon_threadsafe(self.more.put_nowait, data)


@pytest.fixture
def stopping(serve_by, raw):
    """A client whose response has begun, the app, and a server that is stopping; `ended` is set at its end."""

    def begin(*headers, **options):
        app = Streams(*headers)
        server = serve_by(app, **QUIET, **options)
        client = raw(server).send(get())
        client.read_until(b"begun")
        ended = threading.Event()
        threading.Thread(target=lambda: (server.stop(), ended.set()), daemon=True).start()
        wait_until(lambda: not server.server.started)
        return client, app, server, ended

    return begin


def test_a_silent_stream_is_disconnected(stopping):
    client, app, server, ended = stopping(shutdown_timeout=0)
    assert ended.wait(HANG)
    assert app.ends == ["left"]
    assert client.read_all() == b"\r\n"  # the end of its chunk, and no last chunk
    assert "ERROR" not in server.logs() and "cancelled" not in server.logs()


def test_a_stream_that_goes_on_is_finished(stopping):
    client, app, server, ended = stopping(shutdown_timeout=0)
    for _ in range(100):
        app.say(b"more")
        client.read_until(b"more\r\n")
    app.say(b"end")
    assert client.read_all() == chunk(b"end") + b"0\r\n\r\n"
    assert ended.wait(HANG) and app.ends == ["complete"]


@pytest.mark.parametrize(
    ("headers", "options"),
    [((), {"drain_streams": "wait"}), (((b"content-length", b"8"),), {})],
    ids=["wait", "length"],
)
def test_others_are_waited_for(stopping, headers, options):
    client, app, server, ended = stopping(*headers, **options, shutdown_timeout=0)
    assert not ended.wait(1.5)
    app.say(b"end")
    assert client.read_all().endswith(b"end" if headers else chunk(b"end") + b"0\r\n\r\n")
    assert ended.wait(HANG) and app.ends == ["complete"]


class Pieces:
    """Sends a piece each time it may, and never asks whether its client is there."""

    def __init__(self):
        self.may, self.sent, self.raised = threading.Semaphore(0), 0, None

    async def __call__(self, scope, receive, send):
        await start(send)
        try:
            while True:
                await piece(send, b"begun")
                self.sent += 1
                await asyncio.get_running_loop().run_in_executor(None, self.may.acquire)
        except Exception as error:
            self.raised = error


def test_a_stream_to_nobody_is_told_soon(serve_by, raw):
    app = Pieces()
    server = serve_by(app, **QUIET, shutdown_timeout=0)
    client = raw(server).send(get())
    client.read_until(b"begun")
    client.reset()
    wait_until(lambda: live()["connections"] == 0)
    ended = threading.Event()
    threading.Thread(target=lambda: (server.stop(), ended.set()), daemon=True).start()
    wait_until(lambda: not server.server.started)
    wait_until(lambda: app.may.release() or app.raised is not None)
    assert isinstance(app.raised, ClientDisconnected)
    assert app.sent <= 10
    assert ended.wait(HANG)
    assert "ERROR" not in server.logs()

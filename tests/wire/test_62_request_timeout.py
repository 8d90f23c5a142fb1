"""request_timeout: what the client gets, and what happens to the app's task. Limits of single routes."""

import asyncio
import threading
import time

import pytest

from frames import FIELDS
from harness import wait_until
from wire_apps import (
    QUIET,
    Recorder,
    answer,
    answered,
    body_of,
    get,
    hello,
    mirror,
    piece,
    post,
    post_chunked,
    refused,
    start,
)

OVERDUE = refused("504 Gateway Timeout")
TOO_LARGE = refused("413 Content Too Large")


async def endless(scope, receive, send):
    """Waits for ever, after what the path says has been sent."""
    if scope["path"] == "/hello":
        return await hello(scope, receive, send)
    if scope["path"] == "/length":
        await start(send, (b"content-length", b"10"))
        await piece(send, b"12345")
    if scope["path"] == "/chunks":
        await start(send)
        await piece(send, b"12345")
    await asyncio.Event().wait()


def test_nothing_was_sent(serve_by, raw):
    app = Recorder(endless)
    server = serve_by(app, **QUIET, request_timeout=0.1)
    assert raw(server).send(get()).read_all() == OVERDUE
    wait_until(lambda: app.outcomes == ["CancelledError"])
    server.wait_for_log("its time exceeds request_timeout (--request-timeout)")
    server.wait_for_log("cancelled: GET '/'")
    assert raw(server).send(get("/hello", "Connection: close")).read_response().body == b"hello"


@pytest.mark.parametrize(
    ("path", "received"),
    [("/length", b"\r\n\r\n12345"), ("/chunks", b"\r\n\r\n5\r\n12345\r\n")],
    ids=["length", "chunks"],
)
def test_the_response_had_begun(serve_by, raw, path, received):
    """It is visibly incomplete."""
    app = Recorder(endless)
    server = serve_by(app, **QUIET, request_timeout=0.1)
    assert raw(server).send(get(path)).read_all().endswith(received)
    wait_until(lambda: app.outcomes == ["CancelledError"])


def test_a_response_whose_end_is_that_of_the_connection_is_reset(serve, raw):
    client = raw(serve(endless, **QUIET, request_timeout=0.1)).send(get("/chunks", version="1.0"))
    with pytest.raises(ConnectionResetError):
        while True:
            client.read_exactly(1)


def test_an_app_that_goes_on_after_its_cancellation(serve_by, raw):
    """Nothing it sends reaches another request, and others are served meanwhile."""
    release, outcomes = threading.Event(), []

    async def app(scope, receive, send):
        if scope["path"] == "/hello":
            return await hello(scope, receive, send)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            outcomes.append("cancelled")
        while not release.is_set():
            await asyncio.sleep(0.001)
        await answer(send, b"late")
        outcomes.append("returned")

    server = serve_by(app, **QUIET, request_timeout=0.1)
    assert raw(server).send(get()).read_all() == OVERDUE
    wait_until(lambda: outcomes == ["cancelled"])
    client = raw(server).send(get("/hello"))
    assert client.read_exactly(len(answered(b"hello"))) == answered(b"hello")
    release.set()
    wait_until(lambda: outcomes == ["cancelled", "returned"])
    assert client.send(get("/hello")).read_exactly(len(answered(b"hello"))) == answered(b"hello")


def test_a_body_that_does_not_come_in_time(serve, raw):
    app = Recorder(mirror)
    server = serve(app, **QUIET, request_timeout=0.1)
    assert raw(server).send(post(b"hel", length=5)).read_all() == OVERDUE
    wait_until(lambda: app.outcomes != [])


def test_each_request_of_a_connection_has_its_time(serve_by, raw):
    async def app(scope, receive, send):
        await asyncio.sleep(0.05)
        await answer(send)

    client = raw(serve_by(app, **QUIET, request_timeout=2))
    began = time.monotonic()
    while time.monotonic() - began < 2.5:
        assert client.send(get()).read_exactly(len(answered(b""))) == answered(b"")


def test_websockets_are_exempt(serve, raw):
    async def app(scope, receive, send):
        await receive()
        await asyncio.sleep(0.3)
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.3)
        await send({"type": "websocket.send", "text": "still here"})
        await send({"type": "websocket.close"})

    client = raw(serve(app, **QUIET, request_timeout=0.1)).send(get("/", *FIELDS))
    assert client.read_response().status == 101
    assert client.read_exactly(12) == b"\x81\x0astill here"


def test_a_stall_of_another_request_cancels_nothing(serve, raw):
    """The response was due in time, had the loop run."""
    waits = threading.Event()

    async def app(scope, receive, send):
        if scope["path"] == "/blocks":
            time.sleep(1)
        else:
            waits.set()
            await asyncio.sleep(0.2)
        await answer(send)

    server = serve(app, **QUIET, request_timeout=0.6)
    client = raw(server).send(get())
    assert waits.wait(20)
    raw(server).send(get("/blocks"))
    assert client.read_exactly(len(answered(b""))) == answered(b"")


# ---- single routes ----


def test_times_of_single_routes(serve, raw):
    paths = ["/slow=30", "/slow/not=0.1", "/never=0", "/hello=50ms"]
    options = {"request_timeout": 0.2, "request_timeout_path": paths, "shutdown_timeout": 0.1}
    server = serve(endless, **QUIET, **options)
    patient = [raw(server).send(get(path)) for path in ("/slow", "/slow/a", "/never/a", "/%73low/notes")]
    for path in ("/slow/not", "/slow/not/a", "/slow/%6eot", "/slower", "/", "/nevermore"):
        assert raw(server).send(get(path)).read_all() == OVERDUE
    assert raw(server).send(get("/hello", "Connection: close")).read_response().body == b"hello"
    for client in patient:
        client.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.socket.recv(1)


def test_bodies_of_single_routes(serve, raw):
    limits = {"/upload": "1MB", "/upload/none": 0, "/small": 3}

    async def app(scope, receive, send):
        await answer(send, b"%d" % len(await body_of(receive) or b""))

    server = serve(app, **QUIET, max_request_body=10, max_request_body_path=limits)

    def size(path, n, of=post):
        client = raw(server).send(of(b"x" * n, target=path))
        found = client.read_response()
        return int(found.body) if found.status == 200 else found.status

    for of in (post, post_chunked):
        assert [size("/", n, of) for n in (10, 11)] == [10, 413]
        assert [size("/upload/a", n, of) for n in (11, 999_999)] == [11, 999_999]
        assert size("/upload/none", 2_000_000, of) == 2_000_000
        assert [size("/small", n, of) for n in (3, 4)] == [3, 413]
        assert [size("/%73mall/a", n, of) for n in (3, 4)] == [3, 413]
        assert [size("/smaller", n, of) for n in (10, 11)] == [10, 413]
    server.wait_for_log("its body exceeds max_request_body_path of 3 bytes (--max-request-body-path)")


def test_the_command_line_takes_limits_of_routes(cli_server, raw):
    server = cli_server(
        "wire_apps:mirror", "--lifespan", "off", "--max-request-body-path", "/a=5", "--max-request-body-path=/b=1KiB"
    )
    statuses = [raw(server).send(post(b"123456", target=path)).read_response().status for path in ("/a", "/b", "/c")]
    assert statuses == [413, 200, 200]

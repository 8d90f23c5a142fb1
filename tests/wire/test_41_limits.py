"""Bodies that are too large, and Expect: 100-continue."""

import asyncio
import threading
import time

import pytest

from harness import HANG
from wire_apps import (
    CONTINUE,
    QUIET,
    answer,
    answered,
    answered_last,
    body_of,
    chunk,
    get,
    mirror,
    post,
    post_chunked,
    refused,
    request,
)

LIMIT = {**QUIET, "max_request_body": 1000}
TOO_LARGE = refused("413 Content Too Large")
EXPECT = "Expect: 100-continue"


def test_exactly_the_limit(serve, raw):
    client = raw(serve(mirror, **LIMIT))
    body = b"x" * 1000
    expected = answered(b"/ " + body)
    for message in [post(body), post_chunked(body), post_chunked(body[:1], body[1:])]:
        assert client.send(message).read_exactly(len(expected)) == expected


@pytest.mark.parametrize("message", [post(b"", length=1001), post(b"x" * 1001), post(b"", length=2**62)])
def test_a_declared_length_over_the_limit(serve, raw, message):
    """Refused before the app is called."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    server = serve(app, **LIMIT)
    client = raw(server).send(message)
    assert client.read_all() == TOO_LARGE
    client.close()
    server.stop()
    assert seen == []


def test_chunks_over_the_limit_together_with_the_head(serve, raw):
    client = raw(serve(mirror, **LIMIT)).send(post_chunked(b"x" * 600, b"y" * 401))
    assert client.read_all() == TOO_LARGE


def test_chunks_over_the_limit_later(serve, raw):
    began, seen = threading.Event(), []

    async def app(scope, receive, send):
        began.set()
        seen.append(await body_of(receive))

    server = serve(app, **LIMIT)
    client = raw(server).send(post_chunked(b"x" * 600, end=b""))
    assert began.wait(HANG)
    assert client.send(chunk(b"y" * 401)).read_all() == TOO_LARGE
    client.close()
    server.stop()
    assert seen == [None]


@pytest.mark.parametrize(
    "head", [post(b"", length=3 << 20), post_chunked(end=b"300000\r\n")], ids=["length", "chunked"]
)
def test_the_refusal_reaches_a_client_that_sends_everything_first(serve, raw, head):
    """Like clients that read the response only after they have sent everything."""
    client = raw(serve(mirror, **LIMIT)).send(head)
    for _ in range(3 << 4):
        client.send(b"x" * 65536)
    assert client.read_all() == TOO_LARGE


def test_too_large_behind_the_beginning_of_an_answer(serve, raw):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"so far", "more_body": True})
        await body_of(receive)

    client = raw(serve(app, **LIMIT)).send(post_chunked(b"x", end=b""))
    client.read_until(chunk(b"so far"))
    assert client.send(chunk(b"x" * 1000)).read_all() == b""


def test_no_limit(serve, raw):
    async def app(scope, receive, send):
        await answer(send, b"%d" % len(await body_of(receive)))

    size = 50 << 20
    client = raw(serve(app, **QUIET, max_request_body=0)).send(post(b"", length=size))
    piece = b"x" * (1 << 20)
    for _ in range(size // len(piece)):
        client.send(piece)
    expected = answered(b"%d" % size)
    assert client.read_exactly(len(expected)) == expected


# --- Expect: 100-continue (RFC 9110 10.1.1)


def test_the_interim_answer_comes_when_the_app_asks(serve_by, raw):
    asked = threading.Event()

    async def app(scope, receive, send):
        while not asked.is_set():
            await asyncio.sleep(0.001)
        await mirror(scope, receive, send)

    client = raw(serve_by(app, **QUIET), timeout=0.1).send(post(b"", EXPECT, length=5))
    with pytest.raises(TimeoutError):
        client.read_exactly(1)
    asked.set()
    client.socket.settimeout(20)
    assert client.read_exactly(len(CONTINUE)) == CONTINUE
    expected = answered(b"/ hello")
    assert client.send(b"hello").read_exactly(len(expected)) == expected
    assert client.send(get()).read_exactly(len(answered(b"/ "))) == answered(b"/ ")


def test_the_interim_answer_comes_once(serve, raw):
    client = raw(serve(mirror, **QUIET)).send(request("POST", "/", "Transfer-Encoding: chunked", EXPECT))
    assert client.read_exactly(len(CONTINUE)) == CONTINUE
    for letter in b"abc":
        client.send(chunk(bytes([letter])))
        time.sleep(0.01)
    expected = answered(b"/ abc")
    assert client.send(b"0\r\n\r\n").read_exactly(len(expected)) == expected


@pytest.mark.parametrize(
    "message", [post(b"hello", EXPECT), post(b"h", EXPECT, length=5)], ids=["all of it", "a byte of it"]
)
def test_a_client_that_does_not_wait_gets_no_interim_answer(serve, raw, message):
    client = raw(serve(mirror, **QUIET)).send(message)
    if not message.endswith(b"hello"):
        time.sleep(0.02)
        client.send(b"ello")
    expected = answered(b"/ hello")
    assert client.read_exactly(len(expected)) == expected


def test_a_final_answer_instead_ends_the_connection(serve, raw):
    """The client may or may not send its body now, so the next bytes could be either."""

    async def app(scope, receive, send):
        await answer(send, b"no", status=403)

    client = raw(serve(app, **QUIET)).send(post(b"", EXPECT, length=5))
    assert client.read_all() == answered(b"no", status="403 Forbidden").replace(
        b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"
    )


def test_too_large_is_said_instead(serve, raw):
    client = raw(serve(mirror, **LIMIT)).send(post(b"", EXPECT, length=1001))
    assert client.read_all() == TOO_LARGE


def test_no_body_needs_no_interim_answer(serve, raw):
    client = raw(serve(mirror, **QUIET))
    for message in [get("/", EXPECT), post(b"", EXPECT)]:
        expected = answered(b"/ ")
        assert client.send(message).read_exactly(len(expected)) == expected


def test_an_old_client_has_no_expectations(serve, raw):
    client = raw(serve(mirror, **QUIET)).send(request("POST", "/", "Content-Length: 5", EXPECT, version="1.0"))
    time.sleep(0.02)
    assert client.send(b"hello").read_all() == answered_last(b"/ hello")

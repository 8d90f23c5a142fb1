"""Request bodies on the wire: how they are cut, what they must not contain, and apps that do not read them."""

import asyncio
import hashlib
import threading
import time

import pytest

from harness import HANG
from wire_apps import (
    QUIET,
    answer,
    answered,
    answered_last,
    body_of,
    chunk,
    deaf,
    eventually,
    get,
    hello,
    mirror,
    post,
    post_chunked,
    refused,
    request,
)

OK = answered(b"hello")


def test_chunks_of_every_size(serve, raw):
    """Chunk boundaries have no meaning: only the bytes count."""
    data = hashlib.sha256(b"x").digest() * 100
    client = raw(serve(mirror, **QUIET))
    expected = answered(b"/ " + data)
    for size in [1, 2, 15, 16, 17, 255, 256, 1000, 3199, 3200]:
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert client.send(post_chunked(*pieces)).read_exactly(len(expected)) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"005\r\nhello\r\n000\r\n\r\n",
        b"5;name=value\r\nhello\r\n0;last\r\n\r\n",
        b"5\r\nhello\r\n0\r\nTrailer: dropped\r\nContent-Length: 9\r\n\r\n",
        b"1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
)
def test_forms_of_chunks(serve, raw, body):
    client = raw(serve(mirror, **QUIET))
    expected = answered(b"/ hello")
    for _ in range(2):
        client.send(request("POST", "/", "Transfer-Encoding: chunked") + body)
        assert client.read_exactly(len(expected)) == expected


@pytest.mark.parametrize(
    "broken", [b"x\r\n", b"-1\r\n", b"5\nhello", b"5\r\nhelloX", b"ffffffffffffffff\r\n", b"0\r\nbad trailer\r\n\r\n"]
)
def test_broken_chunks(serve, raw, broken):
    """The waiting app gets the disconnect, and the peer the reason."""
    began, seen = threading.Event(), []

    async def app(scope, receive, send):
        began.set()
        seen.append(await body_of(receive))

    server = serve(app, **QUIET)
    client = raw(server).send(post_chunked(b"good", end=b""))
    assert began.wait(HANG)
    assert client.send(broken).read_all() == refused("400 Bad Request")
    client.close()
    server.stop()
    assert seen == [None]


def test_broken_chunks_behind_the_beginning_of_an_answer(serve, raw):
    """It is too late for a 400: the response ends early, which its client can detect."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"so far", "more_body": True})
        await body_of(receive)

    client = raw(serve(app, **QUIET)).send(post_chunked(b"good", end=b""))
    client.read_until(chunk(b"so far"))
    assert client.send(b"nonsense").read_all() == b""


def test_a_declared_body_is_what_was_declared(serve, raw):
    """The server waits for missing bytes, and treats extra bytes as the next request."""
    client = raw(serve(mirror, **QUIET)).send(post(b"hel", length=5))
    time.sleep(0.02)
    client.send(b"lo" + get("/next"))
    expected = answered(b"/ hello") + answered(b"/next ")
    assert client.read_exactly(len(expected)) == expected


def test_an_app_reads_after_its_answer_has_begun(serve_by, raw):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"].upper(), "more_body": True})
        await send({"type": "http.response.body"})

    client = raw(serve_by(app, **QUIET)).send(post(b"abc", length=6))
    client.read_until(chunk(b"ABC"))
    assert client.send(b"def").read_until(b"0\r\n\r\n") == chunk(b"DEF") + b"0\r\n\r\n"
    assert client.send(get()).read_until(b"0\r\n\r\n").endswith(b"\r\n\r\n0\r\n\r\n")


# --- apps that do not read


def test_an_unread_body_within_bounds_is_skipped(serve, raw):
    """Whether it comes with the head, later, in chunks, or byte by byte: the connection is kept."""
    client = raw(serve(deaf, **QUIET))
    big = b"x" * 250_000
    for message in [post(b"x"), post(big), post_chunked(b"x", big), post_chunked()]:
        client.send(message + get("/next"))
        expected = answered(b"/") + answered(b"/next")
        assert client.read_exactly(len(expected)) == expected
    client.send(post(b"", length=20))
    assert client.read_exactly(len(answered(b"/"))) == answered(b"/")
    for _ in range(20):
        client.send(b"x")
        time.sleep(0.001)
    assert client.send(get("/next")).read_exactly(len(answered(b"/next"))) == answered(b"/next")


@pytest.mark.parametrize(
    "head", [post(b"", length=1 << 30), post_chunked(end=b"40000000\r\n")], ids=["length", "chunked"]
)
def test_an_unread_body_beyond_bounds_ends_the_connection(serve, raw, head):
    """The response arrives complete, and the client may continue to send for a while without losing it."""
    client = raw(serve(deaf, **QUIET, max_request_body=0)).send(head)
    for _ in range(30):
        client.send(b"x" * 65536)
    said = answered_last(b"/") if b"Length" in head else answered(b"/")  # as far as it is known
    assert client.read_all() == said


def test_what_was_read_of_a_body_and_what_was_not(serve, raw):
    async def app(scope, receive, send):
        message = await receive()
        await answer(send, b"%d" % bool(message["body"]))

    client = raw(serve(app, **QUIET))
    for _ in range(3):
        client.send(post(b"x" * 150_000) + get())
        expected = answered(b"1") + answered(b"0")
        assert client.read_exactly(len(expected)) == expected


def test_an_app_that_never_reads_holds_up_only_its_client(serve, raw):
    done = threading.Event()

    async def app(scope, receive, send):
        if scope["method"] == "POST":
            await eventually(done.is_set)
        await answer(send, b"hello")

    server = serve(app, **QUIET, max_request_body=0)
    stuck = raw(server, timeout=0.2).send(post(b"", length=1 << 30))
    with pytest.raises(TimeoutError):
        while True:
            stuck.send(b"x" * 65536)
    for _ in range(20):
        other = raw(server)
        assert other.send(get()).read_exactly(len(OK)) == OK
    done.set()
    stuck.socket.settimeout(20)
    closing = answered_last(b"hello")
    assert stuck.read_exactly(len(closing)) == closing


# --- several readers


def test_tasks_that_receive_at_the_same_time_share_the_pieces(serve_by, raw):
    pieces = []

    async def app(scope, receive, send):
        async def read():
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                pieces.append(message["body"])
                more = message["more_body"]

        readers = [asyncio.ensure_future(read()) for _ in range(3)]
        await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
        await answer(send, b"".join(sorted(pieces)))
        await asyncio.gather(*readers)  # the response is complete, so no receiver waits any longer

    client = raw(serve_by(app, **QUIET)).send(post_chunked(b"a", end=b""))
    for letter in b"bcd":
        time.sleep(0.01)
        client.send(chunk(bytes([letter])))
    client.send(b"0\r\n\r\n")
    assert client.read_exactly(len(answered(b"abcd"))) == answered(b"abcd")
    assert client.send(post(b"")).read_response().status == 200


def test_hello_is_answered_while_uploads_go_on(serve, raw):
    """A hundred half-sent uploads cost other clients nothing."""

    async def app(scope, receive, send):
        await body_of(receive)
        await hello(scope, receive, send)

    server = serve(app, **QUIET)
    uploads = [raw(server).send(post(b"half", length=8)) for _ in range(100)]
    other = raw(server)
    for _ in range(50):
        assert other.send(get()).read_exactly(len(OK)) == OK
    for upload in uploads:
        assert upload.send(b"full").read_exactly(len(OK)) == OK

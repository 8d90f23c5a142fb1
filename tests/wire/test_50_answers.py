"""The app's responses, byte for byte on the wire: framing by length, by chunks, by the end of the connection."""

import asyncio
import time

import pytest

from wire_apps import QUIET, chunk, get, piece, post, request, start

STATUS = {
    200: b"200 OK",
    204: b"204 No Content",
    205: b"205 Reset Content",
    304: b"304 Not Modified",
    404: b"404 Not Found",
    299: b"299 Unknown",
}


def says(*pieces, status=200, headers=()):
    """An app that responds with these pieces."""

    async def app(scope, receive, send):
        await start(send, *headers, status=status)
        for number, body in enumerate(pieces, 1):
            await piece(send, body, more=number < len(pieces))

    return app


def length(size):
    return [(b"Content-Length", b"%d" % size)]


FRAMINGS = {
    "length": (get(), says(b"hello", headers=length(5)), b"200 OK\r\ncontent-length: 5\r\n\r\nhello"),
    "length in pieces": (
        get(),
        says(b"he", b"", b"llo", b"", headers=length(5)),
        b"200 OK\r\ncontent-length: 5\r\n\r\nhello",
    ),
    "length 0": (get(), says(b"", headers=length(0)), b"200 OK\r\ncontent-length: 0\r\n\r\n"),
    "chunks": (
        get(),
        says(b"hello", b"", b"x" * 16, b""),
        b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n",
    ),
    "one chunk": (
        get(),
        says(b"hello", b""),
        b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    "no chunk": (get(), says(b"", b""), b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "whole": (get(), says(b"hello"), b"200 OK\r\ncontent-length: 5\r\n\r\nhello"),
    "whole, borrowed": (
        get(),
        says(b"x" * 70_000),
        b"200 OK\r\ncontent-length: 70000\r\n\r\n" + b"x" * 70_000,
    ),
    "whole, empty": (get(), says(b""), b"200 OK\r\ncontent-length: 0\r\n\r\n"),
    "whole, other fields": (
        get(),
        says(b"hello", headers=[(b"x-a", b"b" * 9)]),
        b"200 OK\r\nx-a: bbbbbbbbb\r\ncontent-length: 5\r\n\r\nhello",
    ),
    "whole, 404": (get(), says(b"no", status=404), b"404 Not Found\r\ncontent-length: 2\r\n\r\nno"),
    "the app's chunked": (
        get(),
        says(b"hello", headers=[(b"transfer-encoding", b"chunked")]),
        b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    "HEAD": (request("HEAD", "/"), says(b"hello", headers=length(5)), b"200 OK\r\ncontent-length: 5\r\n\r\n"),
    "HEAD, nothing sent": (request("HEAD", "/"), says(b"", headers=length(5)), b"200 OK\r\ncontent-length: 5\r\n\r\n"),
    "HEAD, whole": (request("HEAD", "/"), says(b"hello"), b"200 OK\r\ncontent-length: 5\r\n\r\n"),
    "HEAD, nothing known": (request("HEAD", "/"), says(b""), b"200 OK\r\n\r\n"),
    "HEAD in pieces": (request("HEAD", "/"), says(b"he", b"llo" * 9000, b""), b"200 OK\r\n\r\n"),
    "HEAD 404": (
        request("HEAD", "/"),
        says(b"no", status=404, headers=length(2)),
        b"404 Not Found\r\ncontent-length: 2\r\n\r\n",
    ),
    "204": (get(), says(b"", status=204), b"204 No Content\r\n\r\n"),
    "204 with a length": (get(), says(b"", status=204, headers=length(5)), b"204 No Content\r\n\r\n"),
    "204 in pieces": (get(), says(b"", b"", status=204), b"204 No Content\r\n\r\n"),
    "205": (get(), says(b"", status=205), b"205 Reset Content\r\ncontent-length: 0\r\n\r\n"),
    "304": (get(), says(b"", status=304, headers=length(5)), b"304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
    "304 without a length": (get(), says(b"", status=304), b"304 Not Modified\r\n\r\n"),
    "a status of its own": (get(), says(b"", status=299, headers=length(0)), b"299 \r\ncontent-length: 0\r\n\r\n"),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_framing(serve, raw, name):
    """Each response twice, on one connection: nothing of the first is left in the second."""
    message, app, expected = FRAMINGS[name]
    client = raw(serve(app, **QUIET))
    expected = b"HTTP/1.1 " + expected
    for _ in range(2):
        assert client.send(message).read_exactly(len(expected)) == expected
    assert client.send(message + message).read_exactly(2 * len(expected)) == expected * 2


@pytest.mark.parametrize(
    ("pieces", "body"), [([b"hello", b""], b"hello"), ([b"he", b"", b"llo", b""], b"hello"), ([b"", b""], b"")]
)
def test_old_clients_read_to_the_end_of_the_connection(serve, raw, pieces, body):
    client = raw(serve(says(*pieces), **QUIET)).send(get("/", version="1.0"))
    assert client.read_all() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + body


CHUNKED = [(b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("headers", [length(5), (), CHUNKED], ids=["declared", "whole", "its own coding"])
def test_an_old_client_and_a_length(serve, raw, headers):
    """Whether the app or the server declares it. The connection can then be kept."""
    server = serve(says(b"hello", headers=headers), **QUIET)
    client = raw(server).send(get("/", version="1.0"))
    assert client.read_all() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
    client = raw(server)
    expected = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello"
    for _ in range(3):
        assert client.send(get("/", "Connection: keep-alive", version="1.0")).read_exactly(len(expected)) == expected


def test_a_whole_body_that_comes_later_is_in_chunks(serve_by, raw):
    """The head does not wait for it."""

    async def app(scope, receive, send):
        app.loop = asyncio.get_running_loop()
        await start(send)
        await app.go.wait()
        await piece(send, b"hello", more=False)

    app.go = asyncio.Event()
    server = serve_by(app, **QUIET)
    client = raw(server).send(get())
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert client.read_exactly(len(head)) == head
    app.loop.call_soon_threadsafe(app.go.set)
    assert client.read_exactly(15) == chunk(b"hello") + b"0\r\n\r\n"


def test_whole_bodies_of_requests_at_the_same_time(serve_by, raw):
    """Each response has the length of its own body, in whatever order their messages come."""
    starts = []

    async def app(scope, receive, send):
        size = int(scope["path"][1:])
        starts.append(size)
        while len(starts) % 8:  # until all eight have arrived
            await asyncio.sleep(0)
        await start(send)
        if size % 2:
            await asyncio.sleep(0)
        await piece(send, b"x" * size, more=False)

    server = serve_by(app, **QUIET)
    clients = [raw(server) for _ in range(8)]
    for number, client in enumerate(clients):
        client.send(get(f"/{number * 1001}"))
    for number, client in enumerate(clients):
        answer = client.read_response()
        assert answer.body == b"x" * (number * 1001)
        assert answer.get("content-length") in ((None,) if number % 2 else (str(number * 1001),))


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_whole_body_of_another_kind(serve, raw, kind):
    client = raw(serve(says(kind(b"hello")), **QUIET)).send(get())
    assert client.read_exactly(43) == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def test_pieces_of_every_size(serve, raw):
    """Around the sizes at which a piece is copied, borrowed, or queued."""
    sizes = [1, 4095, 4096, 4097, 16383, 16384, 49151, 49152, 49153, 65535, 65536, 65537, 1 << 20, 3]
    pieces = [bytes([n]) * size for n, size in enumerate(sizes)]
    server = serve(says(*pieces), **QUIET)
    client = raw(server)
    expected = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    for _ in range(3):
        assert client.send(get()).read_exactly(len(expected)) == expected
    expected = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"".join(pieces)
    assert raw(server).send(get("/", version="1.0")).read_all() == expected


@pytest.mark.parametrize(
    "kind", [bytearray, memoryview, type("Bytes", (bytes,), {})], ids=["bytearray", "memoryview", "subclass"]
)
def test_other_kinds_of_bytes(serve, raw, kind):
    """Mutable data is copied before send() returns."""

    async def app(scope, receive, send):
        await start(send)
        for size in (5, 100_000):
            store = bytearray(b"x" * size)
            await piece(send, store if kind is bytearray else kind(store))
            store[:] = b"y" * size
        await piece(send, b"", more=False)

    expected = chunk(b"x" * 5) + chunk(b"x" * 100_000) + b"0\r\n\r\n"
    client = raw(serve(app, **QUIET)).send(get())
    client.read_until(b"\r\n\r\n")
    assert client.read_exactly(len(expected)) == expected


def test_the_head_leaves_with_the_first_piece(serve, raw):
    """The head is not sent alone, and no piece waits for the next."""

    async def app(scope, receive, send):
        await start(send, *length(2))
        await piece(send, b"a")
        await receive()
        message = await receive()  # waits for the peer, which must have received the first piece
        assert message["type"] == "http.disconnect"

    client = raw(serve(app, **QUIET)).send(get())
    expected = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na"
    assert client.read_exactly(len(expected)) == expected


def test_default_fields(serve, raw):
    client = raw(
        serve(says(b"", headers=length(0)), lifespan="off", server_header="s/1", header=["X-One: 1", "X-Two: 2"])
    )
    reply = client.send(get()).read_response()
    assert [name for name, _ in reply.headers] == ["date", "server", "x-one", "x-two", "content-length"]
    assert reply.get("server") == "s/1"
    assert (
        abs(time.mktime(time.strptime(reply.get("date"), "%a, %d %b %Y %H:%M:%S GMT")) - time.mktime(time.gmtime()))
        < 60
    )


def test_the_apps_own_fields_stay_as_they_are(serve, raw):
    """In order, with their spelling, repeated; the app's own Date and Server replace the server's."""
    headers = [
        (b"X-B", b"2"),
        (b"x-a", b"1"),
        (b"X-B", b""),
        (b"Date", b"today"),
        (b"SERVER", b"mine"),
        (b"set-cookie", b"a=\xe9; b"),
    ]
    client = raw(serve(says(b"", headers=headers + length(0)), lifespan="off"))
    expected = b"HTTP/1.1 200 OK\r\nX-B: 2\r\nx-a: 1\r\nX-B: \r\nDate: today\r\nSERVER: mine\r\nset-cookie: a=\xe9; b\r\ncontent-length: 0\r\n\r\n"
    assert client.send(get()).read_exactly(len(expected)) == expected


def test_many_and_long_fields(serve, raw):
    headers = [(b"x-%d" % n, b"v" * n * 10) for n in range(400)]
    client = raw(serve(says(b"", headers=headers + length(0)), **QUIET)).send(get())
    reply = client.read_response()
    assert [(name.encode(), value.encode()) for name, value in reply.headers[:-1]] == headers


def test_an_answer_before_the_body_has_come(serve, raw):
    """The client gets it at once, and the rest of its body is skipped."""
    client = raw(serve(says(b"hello", headers=length(5)), **QUIET)).send(post(b"ha", length=4))
    expected = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert client.read_exactly(len(expected)) == expected
    assert client.send(b"lf" + get()).read_exactly(len(expected)) == expected

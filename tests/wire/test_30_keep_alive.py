"""Whether a connection stays open after a response: versions, connection options, the request limit."""

import pytest

from wire_apps import QUIET, Recorder, answer, answered, get, hello, piece, post, request, start

OK = answered(b"hello")


def closing(app_answer):
    return app_answer.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)


def test_many_requests_on_one_connection(serve, raw):
    client = raw(serve(hello, **QUIET, max_keepalive_requests=0))
    for _ in range(1500):
        assert client.send(get()).read_exactly(len(OK)) == OK


@pytest.mark.parametrize(
    ("version", "fields", "stays"),
    [
        ("1.1", [], True),
        ("1.1", ["Connection: keep-alive"], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: Foo, CLOSE"], False),
        ("1.1", ["Connection: foo", "Connection: close"], False),
        ("1.0", [], False),
        ("1.0", ["Connection: Keep-Alive"], True),
        ("1.0", ["Connection: keep-alive, close"], False),
    ],
)
def test_version_and_connection_options(serve, raw, version, fields, stays):
    client = raw(serve(hello, **QUIET))
    client.send(get("/", *fields, version=version))
    kept = answered(b"hello") if version == "1.1" else OK.replace(b"\r\n\r\n", b"\r\nconnection: keep-alive\r\n\r\n")
    if stays:
        assert client.read_exactly(len(kept)) == kept
        assert client.send(get()).read_exactly(len(OK)) == OK
    else:
        assert client.read_all() == closing(OK)


def test_an_old_client_that_stays_needs_a_length(serve, raw):
    async def app(scope, receive, send):
        await start(send)
        await piece(send, b"hel")
        await piece(send, b"lo", more=False)

    client = raw(serve(app, **QUIET)).send(get("/", "Connection: keep-alive", version="1.0"))
    assert client.read_all() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"


def test_an_old_client_needs_no_host(serve, raw):
    client = raw(serve(hello, **QUIET)).send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.read_all() == closing(OK)


@pytest.mark.parametrize("value", [b"close", b"Close", b"foo, close"])
def test_the_app_may_end_the_connection(serve, raw, value):
    async def app(scope, receive, send):
        await answer(send, b"hello", (b"Connection", value))

    client = raw(serve(app, **QUIET)).send(get() + get())
    data = client.read_all()
    assert data.count(b"HTTP/1.1 200 OK") == 1
    assert data.lower().count(b"connection: close") == 1


def test_the_app_may_not_keep_what_the_client_ends(serve, raw):
    async def app(scope, receive, send):
        await answer(send, b"hello", (b"connection", b"keep-alive"))

    assert raw(serve(app, **QUIET)).send(get("/", "Connection: close")).read_all() == closing(OK)


def test_the_last_of_so_many_requests(serve, raw):
    app = Recorder(hello)
    client = raw(serve(app, **QUIET, max_keepalive_requests=3))
    assert client.send(get() * 5).read_all() == OK + OK + closing(OK)
    assert app.outcomes == ["returned"] * 3


def test_the_only_request_of_a_connection(serve, raw):
    server = serve(hello, **QUIET, max_keepalive_requests=1)
    for _ in range(3):
        assert raw(server).send(get()).read_all() == closing(OK)


def test_a_client_that_ends_reads_its_answer_and_nothing_more(serve, raw):
    """Data that a client sends after its last request gets no response, and does not cost it the previous one."""
    client = raw(serve(hello, **QUIET)).send(get("/", "Connection: close") + get() * 200 + b"x" * 100_000)
    assert client.read_all() == closing(OK)


def test_a_body_that_was_not_read_does_not_end_the_connection(serve, raw):
    client = raw(serve(hello, **QUIET))
    for size in (1, 100, 200_000):
        assert client.send(post(b"x" * size)).read_exactly(len(OK)) == OK


def test_empty_lines_between_requests(serve, raw):
    client = raw(serve(hello, **QUIET))
    for _ in range(3):
        assert client.send(get() + b"\r\n").read_exactly(len(OK)) == OK


def test_methods(serve, raw):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["method"])
        await answer(send, b"hello")

    client = raw(serve(app, **QUIET))
    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "X-9!"]
    for method in methods:
        assert client.send(request(method, "/")).read_exactly(len(OK)) == OK
    assert seen == methods

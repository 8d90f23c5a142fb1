"""Apps that break the rules: what their client gets, what is raised in the app, what the log says."""

import asyncio
import sys

import pytest

import saltare
from wire_apps import QUIET, answer, answered, chunk, get, hello, piece, refused, request, start

FAILED = refused("500 Internal Server Error")
OK = answered(b"hello")


def sends(*messages):
    """An app that sends these messages."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


def begin(**more):
    return {"type": "http.response.start", "status": 200, "headers": [], **more}


def body(data=b"", more_body=False, **more):
    return {"type": "http.response.body", "body": data, "more_body": more_body, **more}


def with_header(name, value):
    return begin(headers=[(name, value)])


class Broken(Exception):
    pass


async def raises(scope, receive, send):
    raise Broken("on purpose")


async def raises_a_base_exception(scope, receive, send):
    raise type("Basic", (BaseException,), {})("on purpose")


async def exits(scope, receive, send):
    sys.exit(3)


async def cancels_itself(scope, receive, send):
    raise asyncio.CancelledError


async def is_cancelled(scope, receive, send):
    asyncio.current_task().cancel()
    await asyncio.sleep(60)


async def returns(scope, receive, send):
    pass


# What the app does before it sent anything -> what the log says.
MISTAKES = {
    "raises": (raises, "Broken: on purpose"),
    "raises a base exception": (raises_a_base_exception, "Basic: on purpose"),
    "exits": (exits, "SystemExit: 3"),
    "cancels itself": (cancels_itself, "cancelled: GET '/bad'"),
    "is cancelled": (is_cancelled, "cancelled: GET '/bad'"),
    "returns": (returns, "the app returned without a response: GET '/bad'"),
    "no coroutine": (lambda scope, receive, send: None, "not awaitable"),
    "takes other arguments": (lambda scope, receive, send, more: None, "TypeError"),
    "body first": (sends(body(b"x")), "http.response.body was sent before http.response.start"),
    "no dict": (sends([]), "TypeError: send() takes a dict, not list"),
    "no type": (sends({}), "the message has no type"),
    "a type that is no text": (sends({"type": b"http.response.start"}), "ValueError"),
    "an unknown type": (sends({"type": "http.response.end"}), "unknown message type 'http.response.end'"),
    "another protocol's type": (sends({"type": "websocket.accept"}), "unknown message type 'websocket.accept'"),
    "no status": (sends({"type": "http.response.start"}), "no status"),
    "status as text": (sends(begin(status="200")), "TypeError"),
    "status too small": (sends(begin(status=99)), "status must be from 200 to 999, not 99"),
    "status too large": (sends(begin(status=1000)), "status must be from 200 to 999, not 1000"),
    "status huge": (sends(begin(status=1 << 80)), "OverflowError"),
    "interim status": (sends(begin(status=101)), "status must be from 200 to 999, not 101"),
    "headers as a number": (sends(begin(headers=5)), "headers must be an iterable of pairs"),
    "a header of three": (sends(begin(headers=[(b"a", b"b", b"c")])), "3 items instead of name and value"),
    "a header that is none": (sends(begin(headers=[b"abc"])), "3 items instead of name and value"),
    "a name as text": (sends(with_header("x-name", b"v")), "header name must be bytes, not str: 'x-name'"),
    "a value as text": (sends(with_header(b"x-name", "v")), "header value must be bytes, not str: 'v'"),
    "a value as a number": (sends(with_header(b"content-length", 5)), "header value must be bytes, not int: 5"),
    "an empty name": (sends(with_header(b"", b"v")), "empty name"),
    "a name with a space": (sends(with_header(b"x name", b"v")), "octet that is not allowed (0x20)"),
    "a name with a colon": (sends(with_header(b"x:", b"v")), "octet that is not allowed (0x3a)"),
    "a name with a line end": (sends(with_header(b"x\r\ny", b"v")), "octet that is not allowed (0x0d)"),
    "a value with CR LF": (sends(with_header(b"x", b"v\r\nset-cookie: a")), "octet that is not allowed (0x0d)"),
    "a value with LF": (sends(with_header(b"x", b"v\nset-cookie: a")), "octet that is not allowed (0x0a)"),
    "a value with NUL": (sends(with_header(b"x", b"v\0")), "octet that is not allowed (0x00)"),
    "a length that is none": (
        sends(with_header(b"content-length", b"five"), body(b"hello")),
        "content-length is not a number",
    ),
    "two lengths": (
        sends(begin(headers=[(b"content-length", b"5"), (b"Content-Length", b"5")]), body(b"hello")),
        "content-length is given twice",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_before_the_answer_is_500_and_logged(serve, raw, name):
    mistaken, logged = MISTAKES[name]

    async def app(scope, receive, send):
        if scope["path"] == "/other":
            return await hello(scope, receive, send)
        return await mistaken(scope, receive, send)

    server = serve(app if name not in ("no coroutine", "takes other arguments") else mistaken, **QUIET)
    other = raw(server)
    if name not in ("no coroutine", "takes other arguments"):
        assert other.send(get("/other")).read_exactly(len(OK)) == OK
    assert raw(server).send(get("/bad") + get("/other")).read_all() == FAILED
    server.wait_for_log(logged)
    assert server.logs().count("ERROR") + server.logs().count("WARNING") == 1
    if name not in ("no coroutine", "takes other arguments"):
        assert other.send(get("/other")).read_exactly(len(OK)) == OK


def test_500_to_head_has_no_body(serve, raw):
    client = raw(serve(raises, **QUIET)).send(request("HEAD", "/"))
    assert client.read_all() == FAILED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_an_error_can_be_caught_and_mended_by_the_app(serve, raw):
    """Nothing of a rejected message was sent, so another one may take its place."""

    async def app(scope, receive, send):
        for message in (body(b"x"), begin(status=7), with_header("a", b"b"), {"type": "no"}):
            with pytest.raises((ValueError, TypeError, RuntimeError)):
                await send(message)
        await start(send, (b"content-length", b"5"))
        with pytest.raises(RuntimeError, match=r"http\.response\.start was sent twice"):
            await start(send)
        with pytest.raises(TypeError, match="body must be bytes, not str"):
            await piece(send, "text")
        await piece(send, b"hello", more=False)
        with pytest.raises(RuntimeError, match=r"http\.response\.body was sent after the response was complete"):
            await piece(send, b"x")
        with pytest.raises(RuntimeError, match=r"http\.response\.start was sent after the response was complete"):
            await start(send)

    server = serve(app, **QUIET)
    client = raw(server)
    for _ in range(3):
        assert client.send(get()).read_exactly(len(OK)) == OK
    assert "ERROR" not in server.logs()


# What the app does in the middle of a response -> what the log says.
LATE_MISTAKES = {
    "raises": (raises, "Broken: on purpose"),
    "exits": (exits, "SystemExit: 3"),
    "returns": (returns, "the app returned with an incomplete response: GET '/bad'"),
    "is cancelled": (is_cancelled, "cancelled: GET '/bad'"),
    "starts again": (sends(begin()), "http.response.start was sent twice"),
    "body as text": (sends(body("text")), "body must be bytes, not str"),
    "body as None": (sends(body(None)), "body must be bytes, not NoneType"),
    "an unknown type": (sends({"type": "http.response.end"}), "unknown message type"),
}


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("declared", [True, False], ids=["length", "no length"])
@pytest.mark.parametrize("name", LATE_MISTAKES)
def test_a_mistake_within_the_answer_ends_it_visibly(serve, raw, name, declared, version):
    """The client never takes the half for the whole: bytes or the last chunk are missing, or it is reset."""
    mistaken, logged = LATE_MISTAKES[name]

    async def app(scope, receive, send):
        if scope["path"] == "/other":
            return await hello(scope, receive, send)
        await start(send, *([(b"content-length", b"9")] if declared else []))
        await piece(send, b"half")
        await asyncio.sleep(0.005)  # so that the client has received it
        return await mistaken(scope, receive, send)

    server = serve(app, **QUIET)
    client = raw(server).send(get("/bad", version=version) + get("/other"))
    half = b"half" if declared or version == "1.0" else chunk(b"half")
    head = b"HTTP/1.1 200 OK\r\n"
    if declared:
        head += b"content-length: 9\r\n"
    elif version == "1.1":
        head += b"transfer-encoding: chunked\r\n"
    if version == "1.0":
        head += b"connection: close\r\n"
    assert client.read_exactly(len(head) + 2 + len(half)) == head + b"\r\n" + half
    if version == "1.0" and not declared:
        with pytest.raises(ConnectionResetError):
            client.read_all()
    else:
        assert client.read_all() == b""
    server.wait_for_log(logged)
    assert raw(server).send(get("/other")).read_exactly(len(OK)) == OK


def test_less_than_declared(serve, raw):
    server = serve(sends(with_header(b"content-length", b"10"), body(b"hel", True), body(b"lo")), **QUIET)
    client = raw(server).send(get() + get())
    assert client.read_all() == b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhel"
    server.wait_for_log("ContentLengthError: http.response.body: the body is shorter than its content-length: 5 of 10")


def test_more_than_declared(serve, raw):
    server = serve(sends(with_header(b"content-length", b"3"), body(b"hel", True), body(b"lo")), **QUIET)
    client = raw(server).send(get() + get())
    assert client.read_all() == b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhel"
    server.wait_for_log("ContentLengthError: http.response.body: the body is longer than its content-length: 5 of 3")


@pytest.mark.parametrize("rest", [b"", b"l" * 9])
def test_an_app_may_correct_a_wrong_length(serve, raw, rest):
    """The rejected message was not sent, so the response can still be completed."""

    async def app(scope, receive, send):
        await start(send, (b"content-length", b"5"))
        await piece(send, b"hel")
        with pytest.raises(saltare.errors.ContentLengthError):
            await piece(send, rest, more=False)
        await piece(send, b"lo", more=False)

    client = raw(serve(app, **QUIET))
    for _ in range(3):
        assert client.send(get()).read_exactly(len(OK)) == OK


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_body_where_none_may_be(serve, raw, status, more):
    """An error is raised in the app; its client, which has the whole response, is not affected."""
    server = serve(sends(begin(status=status), body(b"hello", more)), **QUIET)
    client = raw(server)
    for _ in range(3):
        answer = client.send(get()).read_response()
        assert (answer.status, answer.body) == (status, b"")
    server.wait_for_log(
        f"UnexpectedBodyError: http.response.body: a response with status {status} has no body, but 5 bytes"
    )


def test_an_error_after_the_answer_is_logged_and_nothing_else(serve, raw):
    async def app(scope, receive, send):
        await answer(send, b"hello")
        raise Broken("too late")

    server = serve(app, **QUIET)
    client = raw(server)
    for _ in range(3):
        assert client.send(get()).read_exactly(len(OK)) == OK
    server.wait_for_log("Broken: too late")


def test_pages_of_errors_do_not_hold_up_the_others(serve, raw):
    async def app(scope, receive, send):
        await (hello if scope["path"] == "/good" else raises)(scope, receive, send)

    server = serve(app, **QUIET)
    good = raw(server)
    for _ in range(100):
        assert raw(server).send(get("/bad")).read_all() == FAILED
        assert good.send(get("/good")).read_exactly(len(OK)) == OK
    assert server.logs().count("Broken: on purpose") == 100

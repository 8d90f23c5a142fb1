"""What an app may send around a response: trailers after its body, and interim responses before it."""

import pytest

import saltare
from wire_apps import (
    CONTINUE,
    QUIET,
    answer,
    answered,
    answered_last,
    body_of,
    get,
    hello,
    piece,
    post,
    refused,
    request,
    start,
)

LAST = b"0\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
OK = answered(b"hello")


async def trailers(send, *headers, **more):
    await send({"type": "http.response.trailers", "headers": list(headers), **more})


def trailing(*headers, status=200, **start_items):
    """An app that sends a body in two pieces and these trailers."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "trailers": True, **start_items})
        if status == 200:
            await piece(send, b"hel")
            await piece(send, b"lo", more=False)
        else:
            await piece(send, b"", more=False)
        await trailers(send, *headers)

    return app


CHUNKS = b"3\r\nhel\r\n2\r\nlo\r\n" + LAST


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], b""),
        ([(b"x-sum", b"1")], b"x-sum: 1\r\n"),
        ([(b"X-Sum", b"a\tb"), (b"x-sum", b""), (b"y", b"\xff")], b"X-Sum: a\tb\r\nx-sum: \r\ny: \xff\r\n"),
    ],
)
def test_trailers(serve_by, raw, headers, expected):
    client = raw(serve_by(trailing(*headers), **QUIET))
    expected = HEAD + CHUNKS + expected + b"\r\n"
    for _ in range(3):
        assert client.send(get()).read_exactly(len(expected)) == expected
    assert client.send(get() + get()).read_exactly(2 * len(expected)) == expected * 2


def test_trailers_in_several_messages(serve, raw):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await piece(send, b"", more=False)
        await trailers(send, (b"a", b"1"), more_trailers=True)
        await trailers(send, more_trailers=True)
        await trailers(send, (b"b", b"2"))

    client = raw(serve(app, **QUIET))
    expected = HEAD + LAST + b"a: 1\r\nb: 2\r\n\r\n"
    for _ in range(2):
        assert client.send(get()).read_exactly(len(expected)) == expected


@pytest.mark.parametrize(
    ("message", "app", "expected"),
    [
        (
            get(),
            trailing((b"a", b"1"), headers=[(b"content-length", b"5")]),
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        ),
        (request("HEAD", "/"), trailing((b"a", b"1")), b"HTTP/1.1 200 OK\r\n\r\n"),
        (get(), trailing((b"a", b"1"), status=204), b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
    ids=["length", "HEAD", "204"],
)
def test_where_there_is_no_room_for_trailers_they_are_dropped(serve, raw, message, app, expected):
    client = raw(serve(app, **QUIET))
    for _ in range(3):
        assert client.send(message).read_exactly(len(expected)) == expected


def test_an_old_client_gets_no_trailers(serve, raw):
    client = raw(serve(trailing((b"a", b"1")), **QUIET)).send(get(version="1.0"))
    assert client.read_all() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"


@pytest.mark.parametrize("name", [b"content-length", b"Transfer-Encoding", b"host", b"set-cookie", b"trailer"])
def test_a_field_that_may_not_be_a_trailer_is_left_out_and_logged(serve, raw, name):
    server = serve(trailing((b"a", b"1"), (name, b"2"), (b"b", b"3")), **QUIET)
    client = raw(server)
    expected = HEAD + CHUNKS + b"a: 1\r\nb: 3\r\n\r\n"
    for _ in range(2):
        assert client.send(get()).read_exactly(len(expected)) == expected
    server.wait_for_log(f"a trailer named {name.decode()} is not allowed")


ORDER = {
    "before the start": ([], "before http.response.start"),
    "before the end of the body": (
        [{"trailers": True}, {"body": b"x", "more_body": True}],
        "before the end of the body",
    ),
    "not announced": ([{}, {"body": b"x", "more_body": True}], "did not say trailers=True"),
    "after the end": ([{}, {}], "after the response was complete"),
    "twice": ([{"trailers": True}, {}, None], "after the response was complete"),
}


@pytest.mark.parametrize("name", ORDER)
def test_trailers_out_of_order(serve, raw, name):
    messages, text = ORDER[name]
    told = []

    async def app(scope, receive, send):
        kinds = ("http.response.start", "http.response.body", "http.response.trailers")
        for kind, message in zip(kinds, messages, strict=False):
            await send({"type": kind, "status": 200, **(message or {})})
        with pytest.raises(saltare.errors.MessageOrderError, match=text):
            await trailers(send)
        told.append(1)
        if not messages:
            await answer(send, b"hello")
        elif messages[-1] and messages[-1].get("more_body"):
            await piece(send, b"", more=False)
            if "trailers" in messages[0]:
                await trailers(send)

    client = raw(serve(app, **QUIET))
    for _ in range(2):
        assert client.get().read_response().status == 200
    assert told == [1, 1]


def test_a_body_where_trailers_belong(serve, raw):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await piece(send, b"hello", more=False)
        with pytest.raises(saltare.errors.MessageOrderError, match="where http.response.trailers belongs"):
            await piece(send, b"more")
        await trailers(send)

    client = raw(serve(app, **QUIET))
    for _ in range(2):
        assert client.get().read_response().body == b"hello"


@pytest.mark.parametrize("half", [False, True])
def test_promised_trailers_that_do_not_come_end_the_connection(serve, raw, half):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await piece(send, b"hello", more=False)
        if half:
            await trailers(send, (b"a", b"1"), more_trailers=True)

    server = serve(app, **QUIET)
    expected = HEAD + b"5\r\nhello\r\n" + (LAST + b"a: 1\r\n" if half else b"")
    assert raw(server).send(get() + get()).read_all() == expected
    server.wait_for_log("returned with an incomplete response")


def hinting(*links):
    async def app(scope, receive, send):
        for some in links:
            await send({"type": "http.response.early_hint", "links": some() if callable(some) else some})
        await hello(scope, receive, send)

    return app


def test_early_hints(serve_by, raw):
    client = raw(serve_by(hinting([b"</a>; rel=preload", b"</b>"], lambda: iter([b"</c>"])), **QUIET))
    first = b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\nlink: </b>\r\n\r\n"
    expected = first + b"HTTP/1.1 103 Early Hints\r\nlink: </c>\r\n\r\n" + OK
    for _ in range(3):
        assert client.send(get()).read_exactly(len(expected)) == expected


def test_early_hints_arrive_early(serve_by, raw):
    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": [b"</a>"]})
        await answer(send, await body_of(receive))

    client = raw(serve_by(app, **QUIET)).send(post(b"", length=5))
    assert client.read_response().status == 103
    assert client.send(b"hello").read_response().body == b"hello"


def test_early_hints_for_an_old_client(serve, raw):
    client = raw(serve(hinting([b"</a>"]), **QUIET)).send(get(version="1.0"))
    assert client.read_all() == answered_last(b"hello")


def test_early_hints_and_expect(serve, raw):
    """Each interim response is separate, and the connection can be kept as without them."""

    async def app(scope, receive, send):
        await send({"type": "http.response.early_hint", "links": [b"</a>"]})
        await answer(send, await body_of(receive))

    client = raw(serve(app, **QUIET))
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    for _ in range(2):
        client.send(post(b"", "Expect: 100-continue", length=5))
        assert client.read_exactly(len(hint + CONTINUE)) == hint + CONTINUE
        assert client.send(b"hello").read_exactly(len(OK)) == OK


@pytest.mark.parametrize("late", [[b"</a>"], [b"a\r\nb: c"]])
def test_hints_after_the_start(serve, raw, late):
    async def app(scope, receive, send):
        await start(send, (b"content-length", b"5"))
        with pytest.raises(saltare.errors.MessageOrderError, match="after http.response.start"):
            await send({"type": "http.response.early_hint", "links": late})
        await piece(send, b"hello", more=False)

    client = raw(serve(app, **QUIET))
    for _ in range(2):
        assert client.send(get()).read_exactly(len(OK)) == OK


@pytest.mark.parametrize("links", [[b"a\r\nset-cookie: b"], [b"\0"], ["text"], None])
def test_wrong_hints_are_not_sent(serve, raw, links):
    server = serve(hinting(links), **QUIET)
    assert raw(server).send(get()).read_all() == refused("500 Internal Server Error")


CODINGS = {
    "none": ((), True),
    "identity": (("Accept-Encoding: identity",), True),
    "identity, weighted": (("Accept-Encoding: identity;q=0.5 , ",), True),
    "empty": (("Accept-Encoding:",), True),
    "gzip": (("Accept-Encoding: gzip",), False),
    "browser": (("accept-encoding: gzip, deflate, br, zstd",), False),
    "second": (("Accept-Encoding: identity, br;q=0.1",), False),
    "second field": (("Accept-Encoding: identity", "ACCEPT-ENCODING: gzip"), False),
    "any": (("Accept-Encoding: *",), False),
}


@pytest.mark.parametrize(("fields", "plain"), CODINGS.values(), ids=CODINGS)
def test_pathsend_is_offered_to_clients_that_accept_no_compression(serve, raw, fields, plain):
    async def app(scope, receive, send):
        await answer(send, b"%d" % ("http.response.pathsend" in scope["extensions"]))

    for given, wanted in {"auto": plain, "on": True, "off": False}.items():
        client = raw(serve(app, **QUIET, pathsend=given))
        for _ in range(2):
            assert client.get("/", *fields).read_response().body == b"%d" % wanted
        assert client.get("/").read_response().body == b"%d" % (given != "off")


def test_every_request_has_extensions_of_its_own(serve, raw):
    async def app(scope, receive, send):
        names = sorted(scope["extensions"])
        scope["extensions"].clear()
        await answer(send, " ".join(names).encode())

    client = raw(serve(app, **QUIET))
    for _ in range(2):
        names = client.get().read_response().body.decode().split()
        assert names == [
            *("http.response.early_hint", "http.response.pathsend", "http.response.trailers"),
            *("http.response.zerocopysend", "saltare.sendfile"),
        ]

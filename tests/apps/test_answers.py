"""How an app's messages reach the client: framing, order and keep-alive."""

import http
import threading

import pytest

from app_asgi import answer, body, body_of, hello, sends, start

# --- framing


def test_declared_length(serve_on, raw):
    server = serve_on(sends(start(200, (b"content-length", b"5")), body(b"he", True), body(b"llo")))
    client = raw(server)
    for _ in range(3):
        reply = client.get().read_response()
        assert (reply.status, reply.reason, reply.body) == (200, "OK", b"hello")
        assert reply.all("content-length") == ["5"]
        assert reply.get("transfer-encoding") is None


def test_chunked_when_no_length_is_declared(serve_on, raw):
    client = raw(serve_on(sends(start(), body(b"he", True), body(b"", True), body(b"llo"))))
    for _ in range(3):
        reply = client.get().read_response()
        assert reply.all("transfer-encoding") == ["chunked"]
        assert reply.get("content-length") is None
        assert reply.body == b"hello"


def test_http_1_0_without_length_ends_with_the_connection(serve, raw):
    client = raw(serve(sends(start(), body(b"he", True), body(b"llo"))))
    reply = client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").read_response()
    assert reply.get("transfer-encoding") is None
    assert reply.body == b"hello"


def test_http_1_0_keep_alive_with_a_length(serve, raw):
    client = raw(serve(hello))
    for _ in range(2):
        reply = client.send(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").read_response()
        assert (reply.body, reply.get("connection").lower()) == (b"Hello, world!", "keep-alive")
    assert client.send(b"GET / HTTP/1.0\r\n\r\n").read_all().endswith(b"Hello, world!")


def test_connection_close_is_honoured_from_either_side(serve, raw):
    server = serve(sends(start(200, (b"content-length", b"2"), (b"connection", b"close")), body(b"ok")))
    assert raw(server).get("/").read_all().endswith(b"\r\n\r\nok")
    reply = raw(server).get("/ok", "Connection: close").read_all()
    assert b"connection: close\r\n" in reply.lower()


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("data", [b"", b"swallowed"])
def test_answers_without_a_body(serve, raw, status, data):
    client = raw(serve(sends(start(status, (b"etag", b'"1"')), body(data))))
    for _ in range(2):
        reply = client.get().read_response()
        assert (reply.status, reply.get("etag"), reply.get("transfer-encoding")) == (status, '"1"', None)
    assert client.get("/ok").read_response().body == b"Hello, world!"


@pytest.mark.parametrize(
    "messages",
    [
        (start(200, (b"content-length", b"5")), body(b"hello")),
        (start(200, (b"content-length", b"5")), body(b"")),
        (start(), body(b"he", True), body(b"llo")),
    ],
)
def test_head_has_the_headers_of_get_and_no_body(serve, raw, messages):
    client = raw(serve(sends(*messages)))
    declared = dict(messages[0]["headers"]).get(b"content-length")
    for _ in range(2):
        client.send(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
        reply = client.read_response("HEAD")
        assert reply.status == 200
        assert reply.get("content-length") == (declared.decode() if declared else None)
    assert client.get("/ok").read_response().body == b"Hello, world!"


def test_status_codes_and_reasons(serve, raw):
    async def app(scope, receive, send):
        await answer(send, status=http.HTTPStatus(int(scope["path"][1:])))

    client = raw(serve(app, lifespan="off"))
    replies = [client.get(f"/{status}").read_response() for status in (200, 201, 302, 404, 418, 422, 500, 503, 507)]
    assert [reply.status for reply in replies] == [200, 201, 302, 404, 418, 422, 500, 503, 507]
    assert [reply.reason for reply in replies[:4]] == ["OK", "Created", "Found", "Not Found"]


def test_headers_keep_their_order_and_repeats(serve, raw):
    fields = [
        (b"set-cookie", b"a=1"),
        (b"x-one", b"1"),
        (b"set-cookie", b"b=2"),
        (b"x-latin", b"caf\xe9"),
        (b"x-empty", b""),
    ]
    reply = raw(serve(sends(start(200, *fields, (b"content-length", b"0")), body()))).get().read_response()
    mine = [(name.encode(), value.encode("latin-1")) for name, value in reply.headers]
    assert [pair for pair in mine if pair in fields] == fields


def test_headers_may_be_any_iterable_and_may_be_missing(serve, raw):
    async def app(scope, receive, send):
        message = {"type": "http.response.start", "status": 200}
        if scope["path"] == "/tuple":
            message["headers"] = ((b"x-a", b"1"),)
        elif scope["path"] == "/generator":
            message["headers"] = ([name, b"1"] for name in (b"x-a", b"x-b"))
        await send(message)
        await send({"type": "http.response.body"})

    client = raw(serve(app, lifespan="off"))
    assert client.get("/tuple").read_response().get("x-a") == "1"
    assert client.get("/generator").read_response().get("x-b") == "1"
    reply = client.get("/none").read_response()
    assert (reply.status, reply.body) == (200, b"")


def test_date_and_server_are_added(serve, raw):
    reply = raw(serve(hello)).get().read_response()
    assert len(reply.all("date")) == len(reply.all("server")) == 1
    assert reply.get("server").startswith("saltare")


# --- order and time


def test_a_piece_leaves_before_the_next_is_sent(serve_on, raw):
    go_on = threading.Event()

    async def app(scope, receive, send):
        import asyncio

        await send(start())
        await send(body(b"first", True))
        await asyncio.to_thread(go_on.wait, 20)
        await send(body(b"second"))

    client = raw(serve_on(app, lifespan="off")).get()
    assert b"first" in client.read_until(b"first")
    go_on.set()
    assert b"second" in client.read_until(b"0\r\n\r\n")


def test_pipelined_requests_are_answered_in_order(serve_on, raw):
    async def app(scope, receive, send):
        import asyncio

        await asyncio.sleep(0.02 if scope["path"].endswith("0") else 0)
        await answer(send, scope["path"].encode())

    client = raw(serve_on(app, lifespan="off"))
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(50)))
    assert [client.read_response().body for _ in range(50)] == [b"/%d" % number for number in range(50)]


def test_a_thousand_requests_on_one_connection(serve, raw):
    client = raw(serve(hello))
    statuses = [client.get().read_response().status for _ in range(999)]
    assert set(statuses) == {200}


def test_a_body_nobody_read_does_not_disturb_the_next_request(serve, raw):
    client = raw(serve(hello))
    for _ in range(5):
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\nGET / HTTP/")
        assert client.read_response().status == 200


def test_the_app_goes_on_after_its_answer(serve_on, raw):
    done = threading.Event()

    async def app(scope, receive, send):
        import asyncio

        await answer(send, b"early")
        if scope["path"] == "/slow":
            await asyncio.sleep(0.1)
            done.set()

    client = raw(serve_on(app, lifespan="off"))
    assert client.get("/slow").read_response().body == b"early"
    assert not done.is_set()
    assert client.get("/").read_response().body == b"early"
    assert done.wait(20)


def test_an_app_that_is_not_a_coroutine_function(serve, raw):
    """A callable that returns an awaitable, like functools.partial objects and callable instances."""

    class App:
        def __call__(self, scope, receive, send):
            return hello(scope, receive, send)

    assert raw(serve(App(), lifespan="off")).get().read_response().body == b"Hello, world!"


def test_request_body_reaches_the_app_whole(serve, raw):
    bodies = []

    async def app(scope, receive, send):
        bodies.append(await body_of(receive))
        await answer(send)

    client = raw(serve(app, lifespan="off"))
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello").read_response()
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n")
    client.read_response()
    client.get().read_response()
    assert bodies == [b"hello", b"hello", b""]

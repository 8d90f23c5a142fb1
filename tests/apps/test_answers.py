"""What of an app's messages reaches the client: framing, order, keep-alive, and the app's mistakes. Per process."""

import threading

import pytest
from app_asgi import answer, body_of, hello


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def sends(*messages):
    """An app that sends these messages whatever was asked; on /ok it behaves."""

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/ok":
            return await hello(scope, receive, send)
        for message in messages:
            await send(message)

    return app


def still_serves(server, raw):
    return raw(server).get("/ok").read_response().body == b"Hello, world!"


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
        await answer(send, status=int(scope["path"][1:]))

    client = raw(serve(app, lifespan="off"))
    replies = [client.get(f"/{status}").read_response() for status in (200, 201, 302, 404, 418, 422, 500, 503, 599)]
    assert [reply.status for reply in replies] == [200, 201, 302, 404, 418, 422, 500, 503, 599]
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


# --- the app's mistakes


class Mistake(Exception):
    pass


def test_error_before_the_answer_is_500_and_a_traceback(serve_on, raw):
    async def app(scope, receive, send):
        if scope["path"] == "/ok":
            return await hello(scope, receive, send)
        raise Mistake("said the app")

    server = serve_on(app, lifespan="off")
    reply = raw(server).get().read_response()
    assert (reply.status, b"said" in reply.body) == (500, False)
    server.wait_for_log("Mistake: said the app")
    server.wait_for_log("Traceback")
    assert still_serves(server, raw)


@pytest.mark.parametrize("declared", [[(b"content-length", b"10")], []], ids=["length", "chunked"])
def test_error_in_the_middle_of_an_answer_ends_it_uncleanly(serve_on, raw, declared):
    async def app(scope, receive, send):
        if scope["path"] == "/ok":
            return await hello(scope, receive, send)
        await send(start(200, *declared))
        await send(body(b"part", True))
        raise Mistake("half way")

    server = serve_on(app, lifespan="off")
    with pytest.raises(EOFError):
        raw(server).get().read_response()
    server.wait_for_log("Mistake: half way")
    assert still_serves(server, raw)


def test_error_after_the_answer_is_only_logged(serve, raw):
    async def app(scope, receive, send):
        await answer(send, b"fine")
        raise Mistake("too late")

    server = serve(app, lifespan="off")
    assert raw(server).get().read_response().body == b"fine"
    server.stop()
    assert "Mistake: too late" in server.logs()


def test_no_answer_at_all_is_500(serve, raw):
    server = serve(sends())
    assert raw(server).get().read_response().status == 500
    server.wait_for_log("ERROR")
    assert still_serves(server, raw)


@pytest.mark.parametrize(
    "messages",
    [
        (start(200, (b"content-length", b"10")), body(b"short")),
        (start(200, (b"content-length", b"10")), body(b"short", True)),
        (start(), body(b"no end", True)),
        (start(200, (b"content-length", b"3")),),
    ],
    ids=["short", "short-unended", "chunked-unended", "only-start"],
)
def test_an_answer_that_ends_early_never_looks_complete(serve, raw, messages):
    server = serve(sends(*messages))
    with pytest.raises(EOFError):
        raw(server).get().read_response()
    assert still_serves(server, raw)


def test_more_than_the_declared_length_never_reaches_the_client(serve, raw):
    server = serve(sends(start(200, (b"content-length", b"3")), body(b"toolong", True), body(b"!")))
    received = raw(server).get().read_all()
    assert received.partition(b"\r\n\r\n")[2] in (b"", b"too")
    server.wait_for_log("ERROR")
    assert still_serves(server, raw)


BROKEN = {
    "injected value": start(200, (b"x-a", b"1\r\nx-b: 2")),
    "bare newline": start(200, (b"x-a", b"1\nx-b: 2")),
    "nul": start(200, (b"x-a", b"1\x00")),
    "injected name": start(200, (b"x-a: 1\r\nx-b", b"2")),
    "space in name": start(200, (b"x a", b"2")),
    "empty name": start(200, (b"", b"2")),
    "text header": start(200, ("x-a", "1")),
    "header of one part": start(200, (b"x-a",)),
    "text status": start("200"),
    "no status": {"type": "http.response.start"},
    "status of four digits": start(2000),
    "status 0": start(0),
    "unknown type": {"type": "http.response.unheard"},
    "no type": {"status": 200},
    "body first": body(b"early"),
    "no dict": ["http.response.start", 200],
}


@pytest.mark.parametrize("message", BROKEN.values(), ids=BROKEN)
def test_a_message_that_breaks_the_rules_is_500_and_nothing_of_it_leaks(serve, raw, message):
    server = serve(sends(message, body(b"never")))
    reply = raw(server).get().read_response()
    assert (reply.status, reply.get("x-a"), reply.get("x-b")) == (500, None, None)
    server.wait_for_log("Traceback")
    assert still_serves(server, raw)


@pytest.mark.parametrize("lengths", [[b"-1"], [b""], [b"1x"], [b"1", b"2"], [b"9" * 30]])
def test_a_length_that_is_none_is_500(serve, raw, lengths):
    server = serve(sends(start(200, (b"x-a", b"1"), *((b"content-length", value) for value in lengths)), body(b"x")))
    reply = raw(server).get().read_response()
    assert (reply.status, reply.get("x-a")) == (500, None)
    server.wait_for_log("content-length")
    assert still_serves(server, raw)


@pytest.mark.parametrize(
    "second", [start(), {"type": "http.response.body", "body": "text"}], ids=["start-again", "text-body"]
)
def test_a_second_message_that_breaks_the_rules_raises_in_the_app(serve, raw, second):
    raised = []

    async def app(scope, receive, send):
        if scope["path"] == "/ok":
            return await hello(scope, receive, send)
        await send(start())
        try:
            await send(second)
        except Exception as error:
            raised.append(error)
            raise

    server = serve(app, lifespan="off")
    raw(server).get().read_all()
    assert len(raised) == 1 and not isinstance(raised[0], OSError)
    assert still_serves(server, raw)


def test_messages_after_the_end_never_reach_the_next_answer(serve, raw):
    server = serve(sends(start(200, (b"content-length", b"2")), body(b"ok"), body(b"more"), start(404)))
    client = raw(server)
    replies = []
    try:
        for _ in range(3):
            replies.append(client.get().read_response())
    except (EOFError, OSError):
        pass
    assert replies and {(reply.status, reply.body) for reply in replies} == {(200, b"ok")}


def test_an_app_that_is_not_a_coroutine_function(serve, raw):
    """A callable that returns an awaitable, as functools.partial and classes do."""

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

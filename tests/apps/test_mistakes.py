"""Errors of apps: what the client sees, what the log says, and that the server continues to serve."""

import asyncio
import contextlib

import pytest

from app_asgi import answer, body, hello, sends, start


def still_serves(server, raw):
    return raw(server).get("/ok").read_response().body == b"Hello, world!"


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


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, MemoryError, RecursionError])
def test_whatever_an_app_raises_the_server_goes_on(serve_on, raw, error):
    async def app(scope, receive, send):
        if scope["path"] == "/ok":
            return await hello(scope, receive, send)
        raise error("on purpose")

    server = serve_on(app, lifespan="off")
    for _ in range(3):
        assert raw(server).get().read_response().status == 500
    server.wait_for_log(error.__name__)
    assert still_serves(server, raw)


def test_an_app_that_cancels_itself(serve_on, raw):
    async def app(scope, receive, send):
        if scope["path"] == "/ok":
            return await hello(scope, receive, send)
        asyncio.current_task().cancel()
        await asyncio.sleep(0)
        await answer(send)

    server = serve_on(app, lifespan="off")
    assert raw(server).get().read_response().status == 500
    assert still_serves(server, raw)


def test_messages_to_a_request_that_is_over(serve_on, raw):
    """An app may keep send and receive as long as it likes, even after the server has ended."""
    kept = []

    async def app(scope, receive, send):
        kept.append((receive, send))
        await answer(send)

    server = serve_on(app, lifespan="off")
    client = raw(server)
    for _ in range(3):
        client.get().read_response()
    server.stop()
    for receive, send in kept:
        use_up(receive())
        for message in (start(), body(b"late")):
            with contextlib.suppress(Exception):
                use_up(send(message))
    kept.clear()


def use_up(awaitable):
    async def wait():
        return await asyncio.wait_for(awaitable, 5)

    return asyncio.run(wait())

"""Requests sent without waiting for the previous response."""

import asyncio
import threading

from wire_apps import (
    QUIET,
    answer,
    answered,
    body_of,
    chunk,
    eventually,
    get,
    hello,
    mirror,
    piece,
    post,
    post_chunked,
    start,
)


def test_hundreds_of_requests_at_once(serve_by, raw):
    count = 700
    client = raw(serve_by(mirror, **QUIET))
    client.send(b"".join(get(f"/{n}") for n in range(count)))
    expected = b"".join(answered(b"/%d " % n) for n in range(count))
    assert client.read_exactly(len(expected)) == expected


def test_requests_with_bodies_at_once(serve_by, raw):
    sizes = [0, 1, 63, 64, 65, 4096, 70_000, 3]
    client = raw(serve_by(mirror, **QUIET))
    bodies = [bytes([n % 251]) * size for n, size in enumerate(sizes * 10)]
    messages = [
        post_chunked(body[:1], body[1:]) if n % 3 == 0 and len(body) > 1 else post(body)
        for n, body in enumerate(bodies)
    ]
    sender = threading.Thread(target=client.send, args=[b"".join(messages)])
    sender.start()
    for body in bodies:
        expected = answered(b"/ " + body)
        assert client.read_exactly(len(expected)) == expected
    sender.join()


def test_answers_keep_the_order_whatever_they_take(serve_by, raw):
    async def app(scope, receive, send):
        delay = int(scope["path"][1:])
        await asyncio.sleep(delay / 1000)
        await start(send)
        for _ in range(delay % 3):
            await piece(send, b"%d." % delay)
        await piece(send, b"%d" % delay, more=False)

    delays = [30, 1, 0, 20, 2, 0, 7, 5]
    client = raw(serve_by(app, **QUIET)).send(b"".join(get(f"/{delay}") for delay in delays))
    for delay in delays:
        reply = client.read_response()
        assert reply.body == b"%d." % delay * (delay % 3) + b"%d" % delay


def test_the_next_request_is_not_looked_at_before_the_answer_is_complete(serve, raw):
    """So that any effect of the first request, such as a redirect or a refusal, comes before it."""
    entered, go_on = [], threading.Event()

    async def app(scope, receive, send):
        entered.append(scope["path"])
        await start(send)
        await piece(send, b"1")
        await eventually(go_on.is_set)
        assert entered[-1] == scope["path"]
        await piece(send, b"2", more=False)

    client = raw(serve(app, **QUIET)).send(get("/a") + get("/b") + b"nonsense\r\n\r\n")
    client.read_until(chunk(b"1"))
    assert entered == ["/a"]
    go_on.set()
    data = client.read_all()
    assert entered == ["/a", "/b"]
    assert data.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 400 " in data


def test_a_request_behind_an_upload(serve_by, raw):
    big = b"0123456789abcdef" * 65536
    expected = answered(b"%d" % len(big)) + answered(b"0")

    async def app(scope, receive, send):
        await answer(send, b"%d" % len(await body_of(receive)))

    for message in (post(big), post_chunked(*(big[at : at + 9999] for at in range(0, len(big), 9999)))):
        client = raw(serve_by(app, **QUIET)).send(message + get())
        assert client.read_exactly(len(expected)) == expected


def test_a_request_behind_an_upload_that_nobody_reads(serve_by, raw):
    expected = answered(b"hello") * 2
    for message in (post(b"x" * 200_000), post_chunked(b"x" * 100_000, b"y" * 100_000)):
        client = raw(serve_by(hello, **QUIET)).send(message + get())
        assert client.read_exactly(len(expected)) == expected


def test_one_client_does_not_starve_the_others(serve, raw):
    """While a thousand requests of one connection wait, another connection's request is served long before they end."""
    order = []

    async def app(scope, receive, send):
        order.append(scope["path"])
        await asyncio.sleep(0)
        await answer(send, b"hello")

    server = serve(app, **QUIET, max_keepalive_requests=0)
    greedy, modest = raw(server), raw(server)
    greedy.send(get("/greedy") * 1000)
    expected = answered(b"hello")
    assert greedy.read_exactly(len(expected)) == expected
    assert modest.send(get("/modest")).read_exactly(len(expected)) == expected
    assert greedy.read_exactly(len(expected) * 999) == expected * 999
    assert order.index("/modest") < 900


def test_a_split_in_the_middle_of_the_second_request(serve, raw):
    client = raw(serve(mirror, **QUIET))
    two = get("/first") + post(b"second", target="/")
    expected = answered(b"/first ") + answered(b"/ second")
    for at in range(1, len(two)):
        client.send(two[:at])
        if at >= len(get("/first")):
            first = answered(b"/first ")
            assert client.read_exactly(len(first)) == first
            client.send(two[at:])
            assert client.read_exactly(len(expected) - len(first)) == expected[len(first) :], f"cut at {at}"
        else:
            client.send(two[at:])
            assert client.read_exactly(len(expected)) == expected, f"cut at {at}"

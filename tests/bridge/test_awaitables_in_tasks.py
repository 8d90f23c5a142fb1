"""The awaitables of receive() and send(), at the end of a response and in asyncio tasks."""

import asyncio
import threading
import time

import pytest

import saltare
from bare import BODY, GET, START, post, result, step, waits
from harness import HANG

DISCONNECT = {"type": "http.disconnect"}
STREAM = {"type": "http.response.start", "status": 200, "headers": []}
LARGE = {"type": "http.response.body", "body": bytes(1 << 20), "more_body": True}


def message(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


# ---- the end ----


def test_after_the_answer_receive_says_disconnect(bare):
    peer, exchange = bare.ask(post(b"unread"))
    bare.answer(exchange)
    assert result(exchange.receive()) == result(exchange.receive()) == DISCONNECT
    assert peer.read_response().status == 200


def test_a_receive_that_waits_is_told_when_the_answer_is_complete(bare):
    _, exchange = bare.ask(post(length=2))
    waiting, other = exchange.receive(), exchange.receive()
    futures = [waits(waiting), waits(other)]
    bare.answer(exchange)
    assert all(future.done() for future in futures)
    assert result(waiting) == result(other) == DISCONNECT


def test_whoever_waits_is_told_when_the_app_fails(bare):
    peer, exchange = bare.ask(post(length=2))
    receiving = exchange.receive()
    exchange.send(STREAM)
    sending = exchange.send(LARGE)
    waits(receiving), waits(sending)
    exchange.fail()
    assert result(receiving) == DISCONNECT
    assert result(sending) is None
    peer.close()


def test_whoever_waits_is_told_when_the_peer_goes(bare):
    peer, exchange = bare.ask(post(length=2))
    receiving = exchange.receive()
    exchange.send(STREAM)
    sending = exchange.send(LARGE)
    waits(receiving), waits(sending)
    peer.close()
    bare.until(lambda: exchange.gone)
    assert result(receiving) == result(exchange.receive()) == DISCONNECT
    with pytest.raises(saltare.ClientDisconnected):
        step(sending)
    with pytest.raises(saltare.ClientDisconnected):
        exchange.send(BODY)


def test_a_body_that_came_whole_can_be_read_after_its_peer_has_gone(bare):
    peer, exchange = bare.ask(post(b"abc"))
    peer.reset()
    bare.until(lambda: exchange.gone)
    assert result(exchange.receive()) == message(b"abc")
    assert result(exchange.receive()) == DISCONNECT


def test_a_body_that_did_not_come_whole_is_no_body(bare):
    peer, exchange = bare.ask(post(b"abc", length=6))
    peer.close()
    bare.until(lambda: exchange.gone)
    assert result(exchange.receive()) == DISCONNECT


def test_a_send_waits_while_its_peer_does_not_read(bare):
    peer, exchange = bare.ask()
    exchange.send(STREAM)
    waiting = exchange.send(LARGE)
    future = waits(waiting)
    for _ in range(10):
        bare.core.poll(0)
    exchange.send({"type": "http.response.body"})
    assert future.done()  # there is nothing left to wait for
    assert result(waiting) is None
    assert len(peer.read_response().body) == 1 << 20


def test_a_send_goes_on_when_its_peer_reads(bare):
    peer, exchange = bare.ask()
    exchange.send(STREAM)
    waiting = exchange.send({**LARGE, "body": bytes(8 << 20)})
    future = waits(waiting)
    for _ in range(10):
        bare.core.poll(0)
    assert not future.done()
    peer.read_until(b"\r\n\r\n")
    while not future.done():
        peer.socket.recv(1 << 20)
    assert result(waiting) is None
    peer.close()


def test_continue_is_asked_for_when_receive_is_awaited(bare):
    expecting = post(length=2).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    peer, exchange = bare.ask(expecting)
    waiting = exchange.receive()
    exchange.receive()  # never stepped
    for _ in range(3):
        bare.core.poll(0)
    with pytest.raises(BlockingIOError):
        peer.socket._socket.recv(1)
    future = waits(waiting)
    assert peer.read_response().status == 100
    peer.send(b"ab")
    bare.until(future.done)
    assert result(waiting) == message(b"ab")
    bare.answer(exchange)
    assert peer.read_response().status == 200


# ---- in tasks ----


async def body_of(receive):
    body = b""
    while True:
        piece = await receive()
        if piece["type"] == "http.disconnect":
            return None
        body += piece["body"]
        if not piece["more_body"]:
            return body


async def in_a_task(receive):
    return (await asyncio.create_task(receive()))["body"]


async def in_wait_for(receive):
    body = b""
    while len(body) < 4:
        try:
            body += (await asyncio.wait_for(receive(), 0.001))["body"]
        except asyncio.TimeoutError:
            continue
    return body


async def in_tasks_cancelled_at_once(receive):
    body = b""
    while len(body) < 4:
        task = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        if not task.done():
            task.cancel()
        try:
            body += (await task)["body"]
        except asyncio.CancelledError:
            pass
    return body


async def shielded(receive):
    return (await asyncio.shield(receive()))["body"]


async def by_wait(receive):
    done, _ = await asyncio.wait([asyncio.ensure_future(receive())])
    return done.pop().result()["body"]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("read", "pieces"),
    [
        (in_a_task, [b"abcd"]),
        (in_wait_for, [b"a", b"b", b"c", b"d"]),
        (in_tasks_cancelled_at_once, [b"a", b"b", b"c", b"d"]),
        (shielded, [b"abcd"]),
        (by_wait, [b"abcd"]),
        (body_of, [b"a", b"", b"bcd"]),
    ],
)
def test_asyncio_reads_a_body(serve, raw, read, pieces, debug):
    async def app(scope, receive, send):
        asyncio.get_running_loop().set_debug(debug)
        got = await read(receive)
        await send(START)
        await send({"type": "http.response.body", "body": b"ok" if got == b"abcd" else b"no"})

    peer = raw(serve(app, lifespan="off"))
    peer.send(post(length=4))
    for piece in pieces:
        peer.send(piece)
        time.sleep(0.02)
    assert peer.read_response().body == b"ok"


@pytest.mark.parametrize("debug", [False, True])
def test_asyncio_gathers_two_receives(serve, raw, debug):
    """The peer sends the second piece after the first was received: together they would be one message."""
    waiting, taken = threading.Event(), threading.Event()

    async def app(scope, receive, send):
        asyncio.get_running_loop().set_debug(debug)
        receives = [asyncio.ensure_future(receive()) for _ in range(2)]
        for one in receives:
            one.add_done_callback(lambda _: taken.set())
        await asyncio.sleep(0)
        waiting.set()
        got = await asyncio.gather(*receives)
        await send(START)
        pieces = sorted(one["body"] for one in got)
        await send({"type": "http.response.body", "body": b"ok" if pieces == [b"ab", b"cd"] else b"no"})

    peer = raw(serve(app, lifespan="off"))
    peer.send(post(length=4))
    assert waiting.wait(HANG)
    peer.send(b"ab")
    assert taken.wait(HANG)
    assert peer.send(b"cd").read_response().body == b"ok"


@pytest.mark.parametrize("wait", [asyncio.create_task, asyncio.shield, asyncio.gather])
def test_asyncio_sends(serve, raw, wait):
    async def app(scope, receive, send):
        await wait(send(START))
        await wait(send(BODY))

    peer = raw(serve(app, lifespan="off"))
    assert peer.get().read_response().body == b"ok"


def test_a_cancelled_send_has_lost_nothing(serve, raw):
    async def app(scope, receive, send):
        await send(STREAM)
        for number in range(40):
            task = asyncio.ensure_future(send({**LARGE, "body": bytes([number]) * 100_000}))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await send({"type": "http.response.body"})

    peer = raw(serve(app, lifespan="off"))
    body = peer.get().read_response().body
    assert body == b"".join(bytes([number]) * 100_000 for number in range(40))


def test_polling_for_a_disconnect_costs_the_request_nothing(serve, raw):
    seen = []

    async def app(scope, receive, send):
        await receive()
        for _ in range(50):
            try:
                await asyncio.wait_for(receive(), 0.001)
            except asyncio.TimeoutError:
                seen.append(None)
        await send(START)
        await send(BODY)

    peer = raw(serve(app, lifespan="off"))
    assert peer.send(GET).read_response().body == b"ok"
    assert len(seen) == 50

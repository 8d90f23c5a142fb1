"""What receive() and send() return: stepped by hand, and given up at every point. Per request."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Coroutine

import pytest

import saltare
from bare import BODY, GET, START, post, result, step, waits
from harness import HANG

DISCONNECT = {"type": "http.disconnect"}
STREAM = {"type": "http.response.start", "status": 200, "headers": []}
LARGE = {"type": "http.response.body", "body": bytes(1 << 20), "more_body": True}


def message(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def test_they_are_coroutines_to_asyncio(bare):
    _, exchange = bare.ask()
    for one in (exchange.receive(), exchange.send(START)):
        assert isinstance(one, Awaitable)
        assert isinstance(one, Coroutine)
        assert asyncio.iscoroutine(one)
        one.close()


def test_receive_is_done_at_its_first_step(bare):
    _, exchange = bare.ask(post(b"abc"))
    assert result(exchange.receive()) == message(b"abc")


def test_a_request_without_body_gives_one_empty_message(bare):
    _, exchange = bare.ask()
    assert result(exchange.receive()) == message(b"")
    waits(exchange.receive())


def test_pieces_come_as_they_arrive(bare):
    peer, exchange = bare.ask(post(b"ab", length=6))
    assert result(exchange.receive()) == message(b"ab", True)
    waiting = exchange.receive()
    future = waits(waiting)
    peer.send(b"cd")
    bare.until(future.done)
    assert result(waiting) == message(b"cd", True)
    peer.send(b"ef")
    waiting = exchange.receive()
    future = waits(waiting)
    bare.until(future.done)
    assert result(waiting) == message(b"ef")


# ---- given up ----


def never_stepped(awaitable):
    del awaitable


def closed(awaitable):
    awaitable.close()


def cancelled(awaitable):
    with pytest.raises(asyncio.CancelledError):
        awaitable.throw(asyncio.CancelledError())


@pytest.mark.parametrize("give_up", [never_stepped, closed, cancelled])
def test_a_receive_given_up_before_its_first_step_has_taken_nothing(bare, give_up):
    _, exchange = bare.ask(post(b"abc"))
    give_up(exchange.receive())
    assert result(exchange.receive()) == message(b"abc")


@pytest.mark.parametrize("give_up", [never_stepped, closed, cancelled])
def test_a_receive_given_up_while_it_waits_has_taken_nothing(bare, give_up):
    peer, exchange = bare.ask(post(length=3))
    waiting = exchange.receive()
    waits(waiting)
    give_up(waiting)
    del waiting
    peer.send(b"abc")
    other = exchange.receive()
    bare.until(waits(other).done)
    assert result(other) == message(b"abc")


@pytest.mark.parametrize("give_up", [never_stepped, closed, cancelled])
def test_a_receive_given_up_after_it_was_woken_has_taken_nothing(bare, give_up):
    peer, exchange = bare.ask(post(length=3))
    waiting = exchange.receive()
    future = waits(waiting)
    peer.send(b"abc")
    bare.until(future.done)
    give_up(waiting)
    del waiting
    assert result(exchange.receive()) == message(b"abc")


@pytest.mark.parametrize("give_up", [never_stepped, closed, cancelled])
def test_a_send_given_up_has_been_sent(bare, give_up):
    peer, exchange = bare.ask()
    give_up(exchange.send(START))
    give_up(exchange.send(BODY))
    assert peer.read_response().body == b"ok"


def test_receives_given_up_leave_no_futures_behind(bare):
    _, exchange = bare.ask(post(length=3))
    futures = []
    for _ in range(100):
        waiting = exchange.receive()
        future = waits(waiting)
        futures.append(weakref.ref(future))
        future.cancel()
        cancelled(waiting)
        del waiting, future
    gc.collect()
    assert sum(ref() is not None for ref in futures) <= 1


def test_sends_given_up_leave_no_futures_behind(bare):
    peer, exchange = bare.ask()
    exchange.send(STREAM)
    futures = []
    for _ in range(100):
        waiting = exchange.send(LARGE)
        future = waits(waiting)
        futures.append(weakref.ref(future))
        future.cancel()
        cancelled(waiting)
        del waiting, future
    gc.collect()
    assert sum(ref() is not None for ref in futures) <= 1
    peer.close()


# ---- twice, and together ----


def test_a_receive_is_awaited_once(bare):
    _, exchange = bare.ask(post(b"abc"))
    awaitable = exchange.receive()
    result(awaitable)
    with pytest.raises(RuntimeError, match="twice"):
        step(awaitable)
    with pytest.raises(RuntimeError, match="twice"):
        next(awaitable)


def test_a_receive_that_was_closed_is_over(bare):
    _, exchange = bare.ask(post(b"abc"))
    for give_up in (closed, cancelled):
        awaitable = exchange.receive()
        give_up(awaitable)
        give_up(awaitable)
        with pytest.raises(RuntimeError, match="twice"):
            step(awaitable)


def test_a_send_that_is_done_may_be_awaited_again(bare):
    _, exchange = bare.ask()
    sent = exchange.send(START)
    assert [result(sent), result(sent), result(sent)] == [None, None, None]


def test_two_receives_share_what_comes(bare):
    peer, exchange = bare.ask(post(length=4))
    first, second = exchange.receive(), exchange.receive()
    futures = [waits(first), waits(second)]
    peer.send(b"ab")
    bare.until(lambda: all(future.done() for future in futures))
    assert result(second) == message(b"ab", True)
    again = waits(first)
    peer.send(b"cd")
    bare.until(again.done)
    assert result(first) == message(b"cd")


def test_two_tasks_that_wait_for_the_same_receive(bare):
    peer, exchange = bare.ask(post(length=2))
    waiting = exchange.receive()
    future = waits(waiting)
    assert waits(waiting) is future
    peer.send(b"ab")
    bare.until(future.done)
    assert result(waiting) == message(b"ab")
    with pytest.raises(RuntimeError, match="twice"):
        step(waiting)


class Closing:
    """A future that closes the awaitable that waits for it as soon as it is asked."""

    waiting = None

    def done(self):
        if self.waiting is not None:
            self.waiting.close()
        return True

    def result(self):
        return None


def test_a_future_may_close_what_waits_for_it(bare):
    _, exchange = bare.ask(post(length=2))
    bare.core.create_future = Closing
    Closing.waiting = waiting = exchange.receive()
    try:
        assert isinstance(step(waiting), Closing)
        with pytest.raises(RuntimeError, match="twice"):
            step(waiting)
    finally:
        Closing.waiting = None


def test_a_future_may_be_woken_for_nothing(bare):
    peer, exchange = bare.ask(post(length=2))
    waiting = exchange.receive()
    waits(waiting).set_result("a result nobody asked for")
    future = waits(waiting)
    peer.send(b"ab")
    bare.until(future.done)
    assert result(waiting) == message(b"ab")


def test_a_loop_whose_futures_cannot_be_awaited(bare):
    class Unmarked:
        __slots__ = ()

        def done(self):
            return True

    _, exchange = bare.ask(post(length=2))
    bare.core.create_future = Unmarked
    with pytest.raises(AttributeError, match="_asyncio_future_blocking"):
        step(exchange.receive())


@pytest.mark.parametrize(("end", "error"), [("cancel", asyncio.CancelledError), ("set_exception", ZeroDivisionError)])
def test_a_future_that_ends_badly(bare, end, error):
    _, exchange = bare.ask(post(length=2))
    loop = asyncio.new_event_loop()
    bare.core.create_future = loop.create_future
    waiting = exchange.receive()
    future = step(waiting)
    getattr(future, end)(*[ZeroDivisionError()] if end == "set_exception" else [])
    with pytest.raises(error):
        step(waiting)
    with pytest.raises(RuntimeError, match="twice"):
        step(waiting)
    loop.close()


def test_a_loop_whose_futures_cannot_be_made(bare):
    _, exchange = bare.ask(post(length=2))
    bare.core.create_future = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        step(exchange.receive())
    del bare.core.create_future
    with pytest.raises(RuntimeError, match="create_future of the core is not set"):
        step(exchange.receive())


@pytest.mark.parametrize(
    ("thrown", "raised"),
    [
        (lambda: (ValueError("x"),), ValueError),
        (lambda: (ValueError,), ValueError),
        (lambda: (ValueError, "x"), ValueError),
        (lambda: (ValueError, ValueError("x")), ValueError),
        (lambda: (ValueError, None, None), ValueError),
        (lambda: (3,), TypeError),
        (lambda: (int,), TypeError),
        (lambda: (), TypeError),
        (lambda: (ValueError, "x", None, None), TypeError),
    ],
)
@pytest.mark.filterwarnings("ignore:the \\(type, exc, tb\\) signature:DeprecationWarning")
def test_what_may_be_thrown(bare, thrown, raised):
    _, exchange = bare.ask(post(length=2))
    waiting = exchange.receive()
    waits(waiting)
    for one in (exchange.receive(), waiting, exchange.send(START)):
        with pytest.raises(raised):
            one.throw(*thrown())


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
    assert future.done()  # there is nothing to wait for any more
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
    never_stepped(exchange.receive())
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
    """The second piece follows once the first has been taken: waiting together, they would be one message."""
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

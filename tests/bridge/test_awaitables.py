"""The awaitables of receive() and send(): coroutines to asyncio, which may be closed or awaited twice."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Coroutine

import pytest

from bare import BODY, START, post, result, step, waits

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


# ---- dropped, closed or cancelled ----


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


# ---- awaited twice, and by several ----


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
    """A future that closes the awaitable waiting for it as soon as it is read."""

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

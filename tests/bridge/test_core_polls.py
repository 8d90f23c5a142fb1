"""Turns of a core: poll() and what it calls, descriptors of the app, signals, guests."""

import select
import signal
import socket
import threading
import time

import pytest

import saltare
from bare import BODY, GET, START, polling, post, result, waits
from harness import HANG
from saltare._core import live

LARGE = {"type": "http.response.body", "body": bytes(1 << 20), "more_body": True}


# ---- flags of a turn ----


def test_a_turn_that_is_interrupted_loses_no_flag(make_bare):
    """An event raises KeyboardInterrupt in the turn in which a draining core loses its last connection."""
    bare = make_bare(debug=1)
    peer, _ = bare.ask()
    emptied = []
    bare.core.on_empty = lambda: emptied.append(None)
    bare.core.drain()
    bare.core.poll(0)

    def interrupt(level, line):
        raise KeyboardInterrupt

    bare.core.log = interrupt
    peer.reset()
    with pytest.raises(KeyboardInterrupt):
        bare.until(lambda: False)
    assert emptied == [] and bare.core.more
    bare.core.log = bare.logged
    bare.core.poll(HANG * 10)  # does not wait
    assert emptied == [None]
    bare.core.poll(0)
    assert emptied == [None] and not bare.core.more


# ---- the wake of a guest ----


def test_on_quiet_is_called_again_in_the_next_turn(bare):
    calls = []
    bare.core.on_quiet = lambda: calls.append(None) or (bare.core.again() if len(calls) < 3 else None)
    bare.core.again()
    for number in (1, 2, 3):
        assert calls == [None] * (number - 1)
        bare.core.poll(HANG * 10)  # does not wait
        assert calls == [None] * number
    bare.core.poll(0)
    assert len(calls) == 3


def test_again_wakes_a_guest(bare):
    calls = []
    bare.core.wake = lambda: calls.append("wake")
    bare.core.on_quiet = lambda: calls.append("quiet")
    bare.core.again()
    bare.core.again()
    bare.core.poll(0)
    bare.core.poll(0)
    assert calls == ["wake", "quiet"]


def test_on_quiet_that_raises(bare):
    bare.core.on_quiet = lambda: 1 / 0
    bare.core.again()
    with pytest.raises(ZeroDivisionError):
        bare.core.poll(0)
    bare.core.poll(0)


def test_wake_is_called_once_a_turn(bare):
    calls = []
    peer, exchange = bare.ask(post(length=4))
    bare.core.wake = lambda: calls.append(1)
    exchange.send(START)
    exchange.send({**BODY, "body": b"o", "more_body": True})
    assert calls == [1]
    bare.core.poll(0)
    exchange.send({**BODY, "body": b"k"})
    assert calls == [1, 1]
    assert peer.read_response().body == b"ok"


@pytest.mark.parametrize("size", [2, 100_000])
def test_wake_may_take_a_turn(bare, size):
    peer, exchange = bare.ask()
    bare.core.wake = lambda: bare.core.poll(0)
    exchange.send({**START, "headers": []})
    exchange.send({**BODY, "body": b"x" * size})
    assert peer.read_response().body == b"x" * size


def test_wake_may_send(bare):
    peer, exchange = bare.ask()
    other_peer, other = bare.ask()

    def wake():
        if not other.complete:
            bare.answer(other)

    bare.core.wake = wake
    bare.answer(exchange)
    assert peer.read_response().body == other_peer.read_response().body == b"ok"


def test_a_wake_that_raises_is_called_again(bare):
    peer, exchange = bare.ask(post(b"abc", length=6))
    bare.core.wake = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        exchange.send(START)
    with pytest.raises(ZeroDivisionError):
        result(exchange.receive())
    with pytest.raises(ZeroDivisionError):
        bare.core.drain()
    with pytest.raises(ZeroDivisionError):
        exchange.send(BODY)
    del bare.core.wake
    assert peer.read_response().body == b"ok"


def test_wake_is_called_by_what_receive_asks_for(bare):
    _, exchange = bare.ask(post(length=4).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    calls = []
    bare.core.wake = lambda: calls.append(1)
    waits(exchange.receive())
    assert calls == [1]
    bare.core.poll(0)
    exchange.fail()
    assert calls == [1, 1]


# ---- nested turns ----


def test_poll_within_poll(bare):
    errors = []

    def dispatch(exchange, scope):
        for call in (bare.core.poll, bare.core.close):
            with pytest.raises(RuntimeError) as error:
                call()
            errors.append(str(error.value))
        bare.answer(exchange)

    bare.core.dispatch = dispatch
    assert bare.connect().get().read_response().body == b"ok"
    assert errors == ["poll() within poll(), or in a second thread", "close() within poll()"]


def test_poll_with_a_timeout_that_closes(bare):
    class Closing:
        def __float__(self):
            bare.core.close()
            return 0.0

    with pytest.raises(RuntimeError, match="closed"):
        bare.core.poll(Closing())


@pytest.mark.parametrize("timeout", ["1", object(), b""])
def test_poll_with_what_is_no_time(bare, timeout):
    with pytest.raises(TypeError):
        bare.core.poll(timeout)
    with pytest.raises(TypeError):
        bare.core.poll(1, 2)


def test_refusals_are_counted_by_cause(make_bare):
    bare = make_bare(max_request_body=4, limit_concurrency=1)
    first, exchange = bare.ask()
    for request, cause in ((GET, "limit_concurrency"), (b"GET\r\n\r\n", "malformed"), (GET, "limit_concurrency")):
        before = bare.core.refusals()[cause]
        assert bare.connect().send(request).read_response().status in (400, 503)
        assert bare.core.refusals()[cause] == before + 1
    bare.answer(exchange)
    assert first.read_response().status == 200
    assert bare.connect().send(post(b"12345")).read_response().status == 413
    counts = {cause: count for cause, count in bare.core.refusals().items() if count}
    assert counts == {"limit_concurrency": 2, "malformed": 1, "max_request_body": 1}
    assert bare.core.stats()["refused"] == 4


@pytest.mark.parametrize("timeout", [-1, 0, -1e300, 1e-9, float("-inf")])
def test_poll_with_odd_times(bare, timeout):
    assert list(bare.core.poll(timeout)) == []


def test_a_second_thread_may_send_but_not_poll_or_close(bare):
    peer, exchange = bare.ask()
    with polling(bare.core):
        with pytest.raises(RuntimeError, match="within poll"):
            bare.core.close()
        bare.answer(exchange)
        assert bare.core.stats()["connections"] == 1
    assert peer.read_response().body == b"ok"
    assert bare.core.stats()["streams"] == 0


def test_close_within_close(bare):
    class Closing:
        def __await__(self):
            yield self

        def done(self):
            return False

        def set_result(self, value):
            bare.core.close()
            for call in (bare.core.poll, bare.core.drain, bare.core.stats):
                with pytest.raises(RuntimeError, match="closed"):
                    call()
            closings.append(1)

    closings = []
    exchanges = [bare.ask(post(length=2))[1] for _ in range(3)]
    bare.core.create_future = Closing
    receives = [exchange.receive() for exchange in exchanges]
    for receive in receives:
        receive.send(None)
    bare.core.close()
    assert closings == [1] * 3
    assert live()["cores"] == 0
    assert all(exchange.gone for exchange in exchanges)


def test_close_tells_those_who_wait(bare):
    peer, exchange = bare.ask(post(length=2))
    receiving = exchange.receive()
    exchange.send({**START, "headers": []})
    sending = exchange.send(LARGE)
    waits(receiving), waits(sending)
    bare.core.close()
    assert exchange.gone
    assert result(receiving) == {"type": "http.disconnect"}
    with pytest.raises(saltare.ClientDisconnected):
        sending.send(None)
    with pytest.raises(saltare.ClientDisconnected):
        exchange.send(BODY)
    exchange.fail()
    with pytest.raises((EOFError, ConnectionError)):
        peer.socket._socket.setblocking(True)
        peer.socket = peer.socket._socket
        peer.read_response()
        raise EOFError  # what was sent before may have arrived


def test_after_close(bare):
    peer, exchange = bare.ask()
    bare.core.close()
    bare.core.close()
    assert bare.core.epoll_fd == -1
    for call in (bare.core.poll, bare.core.drain, bare.core.stats):
        with pytest.raises(RuntimeError, match="closed"):
            call()
    counters = live()
    assert {name for name, count in counters.items() if count} <= {"exchanges"}


# ---- descriptors of the application ----


def test_a_descriptor_is_reported_with_its_key(bare):
    left, right = socket.socketpair()
    key = object()
    bare.core.watch(left.fileno(), 1, key)
    assert list(bare.core.poll(0)) == []
    right.send(b"x")
    assert list(bare.core.poll(1)) == [(key, 1)]
    bare.core.watch(left.fileno(), 3, key)
    assert list(bare.core.poll(1)) == [(key, 3)]
    bare.core.unwatch(left.fileno())
    assert list(bare.core.poll(0)) == []
    with pytest.raises(KeyError):
        bare.core.unwatch(left.fileno())
    left.close(), right.close()


def test_a_descriptor_that_is_unwatched_in_the_turn_that_reports_it(bare):
    left, right = socket.socketpair()
    bare.core.watch(left.fileno(), 1, "key")
    bare.core.dispatch = lambda exchange, scope: (bare.core.unwatch(left.fileno()), bare.answer(exchange))
    peer = bare.connect()
    bare.core.poll(0)
    right.send(b"x")
    peer.socket._socket.send(GET)
    time.sleep(0.05)
    seen = list(bare.core.poll(1))
    assert seen in ([], [("key", 1)])  # depends on the order in which epoll reported them
    assert list(bare.core.poll(0)) == []
    assert peer.read_response().body == b"ok"
    left.close(), right.close()


def test_descriptors_that_cannot_be_watched(bare, tmp_path):
    with pytest.raises(OSError, match="Bad file"):
        bare.core.watch(987_654, 1, None)
    with pytest.raises(KeyError):
        bare.core.unwatch(987_654)
    with open(tmp_path / "file", "wb") as file, pytest.raises(PermissionError):
        bare.core.watch(file.fileno(), 1, None)
    for arguments in [(), (1,), ("1", 1, None), (1, "1", None), (1 << 40, 1, None)]:
        with pytest.raises((TypeError, OverflowError)):
            bare.core.watch(*arguments)
    for argument in ["1", None, 1 << 70]:
        with pytest.raises((TypeError, OverflowError)):
            bare.core.unwatch(argument)


def test_descriptors_are_forgotten_after_close(bare):
    left, right = socket.socketpair()
    bare.core.watch(left.fileno(), 1, "key")
    bare.core.close()
    bare.core.unwatch(left.fileno())
    with pytest.raises(KeyError):
        bare.core.unwatch(left.fileno())
    left.close(), right.close()


# ---- signals ----


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals go to the main thread")
def test_a_signal_ends_the_wait_and_its_handler_runs(bare):
    seen, start = [], time.monotonic()
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while not seen:  # a turn may end early: Go's runtime has a signal of its own
            bare.core.poll(HANG)
        signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(ZeroDivisionError):
            while time.monotonic() < start + HANG:
                bare.core.poll(HANG)
        assert time.monotonic() < start + HANG
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ---- a guest ----


def test_the_epoll_set_of_a_guest_is_readable_when_there_is_something_to_do(make_bare):
    bare = make_bare(guest=1, keep_alive_timeout=50, header_timeout=50)
    poll = select.poll()
    poll.register(bare.core.epoll_fd, select.POLLIN)
    assert poll.poll(0) == []
    peer = bare.connect()
    assert poll.poll(HANG * 1000)
    bare.core.poll(0)
    peer.socket._socket.send(GET)
    assert poll.poll(HANG * 1000)
    bare.until(lambda: bare.exchanges)
    bare.answer(bare.exchanges[0])
    assert peer.read_response().body == b"ok"
    deadline = time.monotonic() + HANG
    while bare.core.stats()["connections"] and time.monotonic() < deadline:
        poll.poll(HANG * 1000)  # a deadline makes it readable too
        bare.core.poll(0)
    assert bare.core.stats()["connections"] == 0

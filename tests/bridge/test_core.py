"""A core's life: what it calls, what may not be done within what, and that nothing of it is left. Per process."""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref

import pytest

import saltare
from bare import BODY, GET, START, Bare, new_core, post, result, waits
from harness import HANG
from saltare._core import Core, Starter, live

LARGE = {"type": "http.response.body", "body": bytes(1 << 20), "more_body": True}


# ---- opening ----


def test_threads_are_as_they_were():
    """Loading Go makes sleeps of the importing thread inexact for a moment, so that Go's own are; its CPUs are untouched."""
    code = """
import os
slack = open("/proc/self/timerslack_ns").read()
cpus = os.sched_getaffinity(0)
threads = set(os.listdir("/proc/self/task"))
from saltare._core import Core
assert os.sched_getaffinity(0) == cpus
core = Core(options={}, server_header=b"", extra_headers=b"", scope={}, root_path="")
assert open("/proc/self/timerslack_ns").read() == slack
of_go = set(os.listdir("/proc/self/task")) - threads
assert of_go
print(*(int(os.sched_getaffinity(int(thread)) == cpus) for thread in of_go))
core.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    assert "0" not in done.stdout.split()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, TypeError),
        ({"options": None}, TypeError),
        ({"options": {"header_timeout": "5"}}, TypeError),
        ({"options": {"header_timeout": -1}}, OverflowError),
        ({"options": {"header_timeout": 1 << 32}}, OverflowError),
        ({"options": {"header_timeout": 1 << 64}}, OverflowError),
        ({"options": {"max_request_body": 1 << 64}}, OverflowError),
        ({"options": {"max_request_body": -1}}, OverflowError),
        ({"options": {"header_timeouts": 1}}, TypeError),
        ({"server_header": "text"}, TypeError),
        ({"scope": []}, TypeError),
        ({"root_path": b""}, TypeError),
        ({"more": 1}, TypeError),
    ],
)
def test_a_core_is_not_opened_with(arguments, error):
    good = {"options": {}, "server_header": b"", "extra_headers": b"", "scope": {}, "root_path": ""}
    with pytest.raises(error):
        Core(**({**good, **arguments} if arguments else {}))
    assert not any(live().values())


def test_a_core_is_opened_once(bare):
    for _ in range(2):
        with pytest.raises(RuntimeError, match="opened once"):
            bare.core.__init__({}, b"", b"", {}, "")
        bare.core.close()


def test_a_core_that_was_never_opened():
    core = Core.__new__(Core)
    calls = [
        (core.poll, 0),
        (core.watch, 0, 1, None),
        (core.unwatch, 0),
        (core.listen, []),
        (core.drain,),
        (core.stats,),
    ]
    for call, *arguments in calls:
        with pytest.raises(RuntimeError, match="closed"):
            call(*arguments)
    core.close()
    assert core.dispatch is None and core.epoll_fd == 0 and not core.more


def test_a_starter_that_was_never_initialised(bare):
    starter = Starter.__new__(Starter)
    for call in (starter, starter._call_soon):
        with pytest.raises((RuntimeError, TypeError)):
            call(None, {})
    with pytest.raises(RuntimeError, match="not initialised"):
        starter._call_soon(print, context=None)
    starter.detach()
    bare.core.dispatch = starter
    with unraisable() as errors:
        assert bare.connect().get().read_response().status == 500
    assert errors == [RuntimeError]


class unraisable:
    """The types of the errors that could not be raised anywhere."""

    def __enter__(self):
        self.types, self.hook = [], sys.unraisablehook
        sys.unraisablehook = lambda error: self.types.append(error.exc_type)
        return self.types

    def __exit__(self, *exc):
        sys.unraisablehook = self.hook


@pytest.mark.parametrize(
    "listeners", [None, [3], [[3, False, None]], [()], [("3", False, None)], [(1 << 40, False, None)]]
)
def test_what_is_no_list_of_listeners(listeners):
    core = new_core()
    with pytest.raises((TypeError, OverflowError)):
        core.listen(listeners)
    core.close()


def test_listeners_that_are_none():
    core = new_core()
    with pytest.raises(OSError, match="Bad file descriptor"):
        core.listen([(-1, False, None)])
    core.close()


# ---- what it calls ----


def test_a_request_without_anybody_to_dispatch_it(bare):
    del bare.core.dispatch
    with unraisable() as errors:
        assert bare.connect().get().read_response().status == 500
    assert errors == [RuntimeError]


def test_a_dispatch_that_raises(bare):
    bare.core.dispatch = lambda exchange, scope: 1 / 0
    with unraisable() as errors:
        assert bare.connect().get().read_response().status == 500
    assert errors == [ZeroDivisionError]


def in_spite_of(interruption, call):
    while True:
        try:
            return call()
        except interruption:
            pass


def test_a_dispatch_that_is_interrupted(bare):
    def dispatch(exchange, scope):
        raise KeyboardInterrupt

    bare.core.dispatch = dispatch
    peers = [bare.connect().get() for _ in range(3)]
    with unraisable() as errors:
        with pytest.raises(KeyboardInterrupt):
            bare.until(lambda: False)
        for peer in peers:
            assert in_spite_of(KeyboardInterrupt, peer.read_response).status == 500
    assert set(errors) <= {KeyboardInterrupt}


def test_a_dispatch_that_replaces_itself(bare):
    class Once:
        def __init__(self):
            bare.core.dispatch = self.dispatch

        def dispatch(self, exchange, scope):
            bare.core.dispatch = bare.dispatched
            gc.collect()
            bare.answer(exchange)

    Once()
    assert bare.connect().get().read_response().body == b"ok"
    assert bare.ask()


def test_a_dispatch_that_forgets_its_exchange(bare):
    bare.core.dispatch = lambda exchange, scope: None
    peer = bare.connect().get()
    bare.until(lambda: live()["exchanges"] == 1)
    peer.reset()
    bare.until(lambda: live()["exchanges"] == 0)


def test_a_log_that_raises_or_is_not_there(make_bare):
    bare = make_bare(debug=1)
    bare.core.log = lambda level, line: 1 / 0
    with unraisable() as errors:
        assert bare.connect().send(b"\xff\xfe bad\r\n\r\n").read_response().status == 400
        del bare.core.log
        assert bare.connect().send(b"\xff\xfe bad\r\n\r\n").read_response().status == 400
    assert errors == [ZeroDivisionError, RuntimeError]


def test_a_state_that_is_no_dict(bare):
    bare.core.state = 3
    with unraisable() as errors:
        assert bare.connect().get().read_response().status == 500
    assert errors == [SystemError]
    bare.core.state = {"a": 1}
    bare.ask()
    assert bare.scopes[-1]["state"] == {"a": 1}


def test_on_empty_is_called_once(bare):
    calls = []
    bare.core.on_empty = lambda: calls.append(1)
    peer, exchange = bare.ask()
    bare.core.drain()
    for _ in range(3):
        bare.core.poll(0)
    assert not calls
    bare.answer(exchange)
    assert peer.read_response().get("connection") == "close"
    peer.close()
    bare.until(lambda: calls)
    for _ in range(3):
        bare.core.poll(0)
    assert calls == [1]


def test_on_empty_that_raises(bare):
    bare.core.on_empty = lambda: 1 / 0
    bare.core.drain()
    with pytest.raises(ZeroDivisionError):
        for _ in range(10):
            bare.core.poll(0)


# ---- the wake of a guest ----


def test_on_lull_is_called_again_in_the_next_turn(bare):
    calls = []
    bare.core.on_lull = lambda: calls.append(None) or (bare.core.again() if len(calls) < 3 else None)
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
    bare.core.on_lull = lambda: calls.append("lull")
    bare.core.again()
    bare.core.again()
    bare.core.poll(0)
    bare.core.poll(0)
    assert calls == ["wake", "lull"]


def test_on_lull_that_raises(bare):
    bare.core.on_lull = lambda: 1 / 0
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


# ---- within one another ----


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


@pytest.mark.parametrize("timeout", [-1, 0, -1e300, 1e-9, float("-inf")])
def test_poll_with_odd_times(bare, timeout):
    assert list(bare.core.poll(timeout)) == []


class polling:
    """A second thread polls the core, without a pause, while the block runs."""

    def __init__(self, core):
        self.core = core
        self.end, self.seen = socket.socketpair()
        self.thread = threading.Thread(target=self.poll)

    def poll(self):
        key = object()
        self.core.watch(self.seen.fileno(), 1, key)
        while (key, 1) not in in_spite_of(RuntimeError, lambda: self.core.poll(HANG)):
            pass
        self.core.unwatch(self.seen.fileno())

    def __enter__(self):
        self.thread.start()
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            try:
                self.core.poll(0)
            except RuntimeError as error:
                assert "second thread" in str(error)
                return
        raise AssertionError("the other thread does not poll")

    def __exit__(self, *exc):
        self.end.send(b"x")
        self.thread.join(HANG)
        self.end.close(), self.seen.close()
        assert not self.thread.is_alive()


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
    assert seen in ([], [("key", 1)])  # by the order in which epoll reported them
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
        while not seen:  # a turn may end before its time: Go's runtime has a signal of its own
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


# ---- the end of a core nobody closed ----


def cycle():
    """A bare core that refers to itself in every way it can, with exchanges in every state."""
    bare = Bare()
    core = bare.core
    core.state = {"core": core}
    core.wake = lambda: core
    core.on_empty = lambda: core
    left, right = socket.socketpair()
    core.watch(left.fileno(), 1, core)
    bare.sockets = left, right
    bare.ask()
    peer, exchange = bare.ask(post(b"abc", length=6))
    exchange.send({**START, "headers": []})
    bare.waiting = [exchange.receive(), exchange.receive(), exchange.send(LARGE)]
    result(bare.waiting[0])
    waits(bare.waiting[1]), waits(bare.waiting[2])
    core.poll(0)
    return bare


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_cycle_with_a_core_is_collected():
    gc.collect()
    bare = cycle()
    ref = weakref.ref(bare)
    assert live()["cores"] == 1
    del bare
    gc.collect()
    assert ref() is None
    assert not any(live().values()), live()


def test_a_core_without_a_cycle_is_closed_by_its_last_reference():
    core = new_core()
    assert live()["cores"] == 1
    del core
    assert not any(live().values())


def test_an_exchange_outlives_its_core(make_bare):
    bare = make_bare()
    _, exchange = bare.ask(post(b"abc"))
    bare.core.close()
    bare.exchanges.clear()
    assert live()["exchanges"] == 1
    assert result(exchange.receive())["body"] == b"abc"
    del exchange
    assert live()["exchanges"] == 0


# ---- fork ----


def in_a_child(check):
    """Runs the check in a forked child; its exit code says whether it passed."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            check()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + HANG
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError("the child hangs")
        time.sleep(0.005)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_never_calls_into_the_core(bare):
    from saltare import _core

    left, right = socket.socketpair()
    bare.core.watch(left.fileno(), 1, "key")
    peer, exchange = bare.ask(post(b"abc", length=6))

    def check():
        calls = [
            (bare.core.poll, 0),
            (bare.core.watch, right.fileno(), 1, None),
            (bare.core.listen, []),
            (bare.core.drain,),
            (bare.core.stats,),
            (_core.build_info,),
            (new_core,),
        ]
        for call, *arguments in calls:
            with pytest.raises(RuntimeError, match="forked child"):
                call(*arguments)
        assert live()["handles"] == 0
        bare.core.unwatch(left.fileno())
        result(exchange.receive())
        waits(exchange.receive())
        bare.answer(exchange)
        bare.core.close()
        bare.exchanges.clear()

    in_a_child(check)
    right.send(b"x")
    bare.until(lambda: list(bare.core.poll(0)) == [("key", 1)])  # still in the set that the child shared
    assert result(exchange.receive())["body"] == b"abc"
    bare.answer(exchange)
    assert peer.read_response().body == b"ok"
    left.close(), right.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_another_thread_polls(bare):
    with polling(bare.core):
        in_a_child(bare.core.close)


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

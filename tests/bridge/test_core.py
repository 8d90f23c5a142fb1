"""The core by itself: how it opens, what it calls, how it ends, and what a forked child may do with it."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import time
import weakref

import pytest

from bare import START, Bare, in_spite_of, new_core, polling, post, result, waits
from harness import HANG
from saltare._core import Core, Starter, live

LARGE = {"type": "http.response.body", "body": bytes(1 << 20), "more_body": True}


# ---- opening ----


def test_threads_are_as_they_were():
    """Loading Go sets the importing thread's timer slack for a moment, so Go's threads inherit it; CPUs stay."""
    code = """
import os
slack = open("/proc/self/timerslack_ns").read()
cpus = os.sched_getaffinity(0)
threads = set(os.listdir("/proc/self/task"))
from saltare._core import Core
assert os.sched_getaffinity(0) == cpus
core = Core(options={}, scope={}, root_path="")
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
        ({"options": {"server_header": "text"}}, TypeError),
        ({"server_header": b""}, TypeError),
        ({"scope": []}, TypeError),
        ({"root_path": b""}, TypeError),
        ({"websocket": None}, TypeError),
        ({"coded": []}, TypeError),
        ({"more": 1}, TypeError),
    ],
)
def test_a_core_is_not_opened_with(arguments, error):
    good = {"options": {}, "scope": {}, "root_path": ""}
    with pytest.raises(error):
        Core(**({**good, **arguments} if arguments else {}))
    assert not any(live().values())


def test_a_core_is_opened_once(bare):
    for _ in range(2):
        with pytest.raises(RuntimeError, match="opened once"):
            bare.core.__init__({}, {}, "")
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


@pytest.mark.parametrize("kind", [GeneratorExit, asyncio.CancelledError, BaseException])
def test_a_dispatch_that_raises_what_only_a_task_should(bare, kind):
    """Only KeyboardInterrupt and SystemExit end the loop, as in asyncio."""

    def dispatch(exchange, scope):
        raise kind

    bare.core.dispatch = dispatch
    with unraisable() as errors:
        assert bare.connect().get().read_response().status == 500
    assert errors == [kind]


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


# ---- the end of a core that was not closed ----


def cycle():
    """A bare core that refers to itself in every possible way, with exchanges in every state."""
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
    """Runs the check in a forked child; the exit code says whether it passed."""
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
    bare.until(lambda: list(bare.core.poll(0)) == [("key", 1)])  # still in the epoll set that the child shared
    assert result(exchange.receive())["body"] == b"abc"
    bare.answer(exchange)
    assert peer.read_response().body == b"ok"
    left.close(), right.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_another_thread_polls(bare):
    with polling(bare.core):
        in_a_child(bare.core.close)

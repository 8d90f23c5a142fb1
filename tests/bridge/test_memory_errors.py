"""Every allocation of the bridge fails once: each failure is reported, nothing crashes, leaks or hangs."""

import socket
import sys

import pytest

from bare import BODY, START, Bare, post
from saltare._core import live

pytestmark = pytest.mark.no_adversary
_testcapi = pytest.importorskip("_testcapi")
MOST = 400  # allocations that one operation may make


class failing:
    """Within the block, the `nth` allocation fails, and with `stays` all after it."""

    def __init__(self, nth, stays):
        self.nth, self.stop = nth, 0 if stays else nth + 1

    def __enter__(self):
        _testcapi.set_nomemory(self.nth, self.stop)

    def __exit__(self, *exc):
        _testcapi.remove_mem_hooks()


def quiet(error):
    """Replaces a hook that needs memory to report that there is none."""


@pytest.fixture
def every_allocation(monkeypatch):
    """Calls attempt(failing) with each allocation failing in turn, until the operation makes no more."""
    monkeypatch.setattr(sys, "unraisablehook", quiet)

    def each(attempt, stays):
        for nth in range(MOST):
            if attempt(failing(nth, stays)):
                return nth
        raise AssertionError(f"it still fails after {MOST} allocations")

    return each


BELIEVED = b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-prefix"
PROXIES = {"proxy_headers": 1, "forwarded_allow_ips": b"127.0.0.1", "proxy_fields": BELIEVED}
FORWARDED = b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Prefix: /a\r\n"


@pytest.fixture
def warm(make_bare):
    """A core with room in its outbox, as after serving for a while: it can report what it loses for lack of memory."""
    bare = make_bare(**PROXIES)
    for _ in range(3):
        peer, exchange = bare.ask()
        bare.answer(exchange)
        assert peer.read_response().status == 200
    return bare


def outcome(peer):
    """What a peer finally sees: a status, or None when the connection just ends."""
    try:
        return peer.read_response().status
    except (EOFError, ConnectionError):
        return None


@pytest.fixture(params=[False, True], ids=["one", "all"])
def stays(request):
    return request.param


# ---- receiving ----


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /p%C3%A4th?q HTTP/1.1\r\nHost: test\r\nX-Own: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: test\r\n" + FORWARDED + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-Port: 8443\r\n\r\n",
        post(b"abc", length=6),
    ],
)
def test_a_request_is_dispatched_or_refused(warm, every_allocation, stays, request_):
    def attempt(memory):
        peer, n = warm.connect(), len(warm.scopes)
        warm.core.poll(0)
        peer.socket._socket.send(request_)
        poll, before = warm.core.poll, warm.core.stats()["requests"]
        with memory:
            try:
                poll(0)
            except MemoryError:
                pass
        warm.until(lambda: warm.core.stats()["requests"] > before)
        warm.core.poll(0)
        done = len(warm.scopes) > n
        if not done:
            assert outcome(peer) in (500, None)
        return done and warm.scopes[-1]["headers"][0] == (b"host", b"test")

    assert every_allocation(attempt, stays) > 5


def test_a_piece_arrives_whole_or_the_request_ends(warm, every_allocation, stays):
    def attempt(memory):
        peer, exchange = warm.ask(post(b"ab", length=6))
        peer.socket._socket.send(b"cdef")
        poll = warm.core.poll
        with memory:
            try:
                poll(0.05)
            except MemoryError:
                pass
        warm.core.poll(0)
        if exchange.gone:
            assert take_all(exchange) is None
            assert outcome(peer) in (500, None)
            return False
        assert take_all(exchange) == b"abcdef"
        warm.answer(exchange)
        return outcome(peer) == 200

    assert every_allocation(attempt, stays) > 0


def take(exchange):
    try:
        exchange.receive().send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def take_all(exchange):
    """The body, or None when it ends with a disconnect."""
    body, more = b"", True
    while more:
        message = take(exchange)
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        more = message["more_body"]
    return body


def test_a_receive_that_fails_has_taken_nothing(bare, every_allocation, stays):
    async def taking():
        box[0] = await receive()

    def attempt(memory):
        nonlocal receive
        _, exchange = bare.ask(post(b"abc"))
        receive, box[0], failed, coroutine = exchange.receive, None, False, taking()
        with memory:
            try:
                coroutine.send(None)
            except StopIteration:
                pass
            except MemoryError:
                failed = True
        # From 3.12 on StopIteration is created at once; if that fails, the message is lost, with an error.
        if box[0] is None and sys.version_info < (3, 12):
            assert take_all(exchange) == b"abc"
        coroutine.close()
        bare.answer(exchange)
        return not failed

    receive, box = None, [None]
    assert every_allocation(attempt, stays) > 1


def test_a_receive_that_cannot_wait_may_be_tried_again(bare, every_allocation, stays):
    def attempt(memory):
        peer, exchange = bare.ask(post(length=3))
        receive, failed = exchange.receive, False
        with memory:
            try:
                receive().send(None)
            except MemoryError:
                failed = True
        peer.send(b"abc")
        bare.until(lambda: exchange.gone or bare.core.stats()["buffers"] == 0)
        for _ in range(3):
            bare.core.poll(0)
        assert take_all(exchange) == b"abc"
        bare.answer(exchange)
        return not failed

    assert every_allocation(attempt, stays) > 1


# ---- sending ----

BARE_START = {"type": "http.response.start", "status": 200}
MESSAGES = {
    "start": [{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2"), [b"a", b"b"]]}],
    "iterators": [{"type": "http.response.start", "status": 200, "headers": ()}],
    "body": [START, {"type": "http.response.body", "body": b"o", "more_body": True}],
    "borrowed": [BARE_START, {"type": "http.response.body", "body": bytes(100_000), "more_body": True}],
    "buffer": [BARE_START, {"type": "http.response.body", "body": bytearray(100_000), "more_body": True}],
    "last": [START, BODY],
    "hint": [{"type": "http.response.early_hint", "links": (b"a", b"b")}],
    "trailers": [
        {**BARE_START, "trailers": True},
        {"type": "http.response.body"},
        {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
    ],
    "path": [BARE_START, {"type": "http.response.pathsend", "path": __file__}],
    "file": [{"type": "saltare.sendfile", "path": __file__, "headers": [(b"a", b"b")]}],
    "wrong": [{**START, "headers": [(b"a", b"\0")]}],
    "unknown": [{"type": "http.response.push"}],
}


@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES)
def test_a_send_that_fails_is_told(bare, every_allocation, stays, messages):
    def attempt(memory):
        _, exchange = bare.ask(post(length=3))
        if messages[0].get("headers") == ():
            messages[0] = {**messages[0], "headers": iter([iter((b"a", b"b"))])}
        send, failed = exchange.send, False
        for message in messages[:-1]:
            send(message)
        if messages is MESSAGES["last"]:
            waiting = exchange.receive()
            waiting.send(None)
        with memory:
            try:
                send(messages[-1])
            except MemoryError:
                failed = True
            except ValueError:
                pass
        exchange.fail()
        for _ in range(3):
            bare.core.poll(0)
        return not failed

    every_allocation(attempt, stays)


def test_a_failure_that_fails_may_be_told_again(bare, every_allocation, stays):
    def attempt(memory):
        peer, exchange = bare.ask()
        fail, failed = exchange.fail, False
        with memory:
            try:
                fail()
            except MemoryError:
                failed = True
        exchange.fail()
        assert outcome(peer) == 500
        return not failed

    every_allocation(attempt, stays)


# ---- life ----


def test_a_core_that_cannot_be_opened_leaves_nothing(every_allocation, stays):
    from saltare._core import Core

    options = {"header_timeout": 5, "max_request_body": 5, "server_header": b"x"}
    arguments = (options, {"type": "http"}, "/root", {"a": 1}, {"b": {}})

    def attempt(memory):
        core = None
        with memory:
            try:
                core = Core(*arguments)
            except MemoryError:
                pass
        if core is None:
            assert not any(live().values())
            return False
        core.close()
        return True

    assert every_allocation(attempt, stays) > 2


@pytest.mark.parametrize("method", ["watch", "unwatch", "stats", "drain", "close"])
def test_a_method_that_fails_leaves_a_core_that_can_be_closed(every_allocation, stays, method):
    left, right = socket.socketpair()
    given = {"watch": (left.fileno(), 3, "key"), "unwatch": (left.fileno(),)}.get(method, ())

    def attempt(memory):
        bare = Bare()
        if method == "unwatch":
            bare.core.watch(left.fileno(), 3, "key")
        bare.ask(post(length=3))
        call, failed = getattr(bare.core, method), False
        with memory:
            try:
                call(*given)
            except MemoryError:
                failed = True
        bare.close()
        return not failed

    every_allocation(attempt, stays)
    left.close(), right.close()

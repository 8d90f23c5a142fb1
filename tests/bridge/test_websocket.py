"""The bridge of a websocket: messages out of order, wrong messages, every awaitable, memory errors."""

import asyncio
import sys

import pytest

from bare import result, waits
from frames import BINARY, CONTINUATION, FIELDS, TEXT, Frame, Peer, close, frame, text
from saltare import ClientDisconnected, errors
from test_memory_errors import every_allocation, failing, outcome, stays, warm  # noqa: F401 - fixtures

SHAKE = "\r\n".join(["GET / HTTP/1.1", "Host: test", *FIELDS, "Sec-WebSocket-Protocol: a, b", "", ""]).encode()
CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
SEND = {"type": "websocket.send", "text": "x"}
LEAVE = {"type": "websocket.close"}
RESPONSE = {"type": "websocket.http.response.start", "status": 401, "headers": []}
RESPONSE_BODY = {"type": "websocket.http.response.body", "body": b"no"}
START = {"type": "http.response.start", "status": 200}


def of(peer):
    """The peer's methods for frames."""
    peer.__class__ = Peer
    return peer


def meet(bare, accept=True):
    peer, socket = bare.ask(SHAKE)
    assert result(socket.receive()) == CONNECT
    if accept:
        assert result(socket.send(ACCEPT)) is None
        assert of(peer).read_response().status == 101
    return of(peer), socket


def test_what_it_is(bare):
    _, socket = meet(bare)
    assert type(socket).__name__ == "WebSocket" and socket.started and not socket.complete and not socket.gone
    with pytest.raises(TypeError):
        type(socket)()


def test_messages_that_came_need_not_be_waited_for(bare):
    peer, socket = meet(bare)
    waiting = socket.receive()
    future = waits(waiting)
    peer.send(text("é") + frame(BINARY, b"b") + frame(TEXT, b"fr", fin=0) + frame(CONTINUATION, b"agments"))
    bare.until(future.done)
    assert result(waiting) == {"type": "websocket.receive", "text": "é"}
    assert result(socket.receive()) == {"type": "websocket.receive", "bytes": b"b"}
    assert result(socket.receive()) == {"type": "websocket.receive", "text": "fragments"}
    waits(socket.receive())


def test_a_wait_that_is_given_up_has_taken_nothing(bare):
    peer, socket = meet(bare)
    waiting = socket.receive()
    future = waits(waiting)
    future.cancel()
    with pytest.raises(asyncio.CancelledError):
        waiting.throw(asyncio.CancelledError)
    socket.receive().close()
    another = socket.receive()
    future = waits(another)
    peer.send(text("kept"))
    bare.until(future.done)
    assert result(another)["text"] == "kept"


def test_two_that_wait(bare):
    peer, socket = meet(bare)
    first, second = socket.receive(), socket.receive()
    futures = waits(first), waits(second)
    peer.send(text("a"))
    bare.until(futures[0].done)
    assert result(first)["text"] == "a"
    future = waits(second)
    peer.send(text("b"))
    bare.until(future.done)
    assert result(second)["text"] == "b"


def test_many_that_wait_to_be_received(bare):
    peer, socket = meet(bare)
    peer.send(b"".join(text(str(i)) for i in range(100)))
    for _ in range(5):
        bare.core.poll(0.01)
    assert [result(socket.receive())["text"] for _ in range(100)] == [str(i) for i in range(100)]


def test_a_large_message_is_borrowed_and_given_back(bare):
    peer, socket = meet(bare)
    for message, key in (
        (bytes(300_000), "bytes"),
        ("é" * 100_000, "text"),
        (bytearray(300_000), "bytes"),
        (memoryview(b"m" * 9), "bytes"),
    ):
        before = sys.getrefcount(message)
        assert result(socket.send({"type": "websocket.send", key: message})) is None
        payload = message.encode() if key == "text" else bytes(message)
        assert peer.read_frame() == Frame(TEXT if key == "text" else BINARY, payload)
        for _ in range(3):
            bare.core.poll(0)
        del payload
        assert sys.getrefcount(message) == before


def test_send_waits_for_a_slow_peer(bare):
    peer, socket = meet(bare)
    message = {"type": "websocket.send", "bytes": bytes(500_000)}
    waiting = None
    for _ in range(100):
        waiting = socket.send(message)
        if waiting is not socket.send(SEND):
            break
    future = waits(waiting)
    while not future.done():
        peer.read_frame()
    assert result(waiting) is None


def test_send_that_waits_for_one_that_goes(bare):
    peer, socket = meet(bare)
    waiting = socket.send({"type": "websocket.send", "bytes": bytes(20_000_000)})
    waits(waiting)
    peer.close()
    bare.until(lambda: socket.gone)
    with pytest.raises(ClientDisconnected):
        result(waiting)
    with pytest.raises(ClientDisconnected):
        socket.send(SEND)
    assert result(socket.receive()) == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


BEFORE, AFTER, DENIED, ENDED = "before it is accepted", "after it is accepted", "after it is denied", "after its end"
ORDER, VALUE, TYPE = errors.MessageOrderError, errors.MessageValueError, errors.MessageTypeError
MISTAKES = [
    (BEFORE, SEND, ORDER, "websocket.send was sent before websocket.accept"),
    (BEFORE, RESPONSE_BODY, ORDER, "websocket.http.response.body was sent before websocket.http.response.start"),
    (BEFORE, START, VALUE, "unknown message type 'http.response.start' for a websocket"),
    (BEFORE, {}, VALUE, "the message has no type"),
    (BEFORE, None, TYPE, "send() takes a dict, not NoneType"),
    (BEFORE, {**ACCEPT, "subprotocol": "c"}, VALUE, "the peer did not offer the subprotocol 'c', but ['a', 'b']"),
    (BEFORE, {**ACCEPT, "subprotocol": b"a"}, TYPE, "subprotocol must be a str or None, not bytes"),
    (BEFORE, {**ACCEPT, "headers": [(b"Sec-WebSocket-Protocol", b"a")]}, VALUE, "the app must not send the header"),
    (BEFORE, {**ACCEPT, "headers": [(b"a", b"b\r\nc: d")]}, VALUE, "octet that is not allowed (0x0d)"),
    (BEFORE, {**ACCEPT, "headers": 5}, TYPE, "headers must be an iterable of pairs"),
    (BEFORE, {**RESPONSE, "status": 101}, VALUE, "status must be from 200 to 999, not 101"),
    (AFTER, ACCEPT, ORDER, "websocket.accept was sent after websocket.accept"),
    (AFTER, RESPONSE, ORDER, "websocket.http.response.start was sent after websocket.accept"),
    (AFTER, RESPONSE_BODY, ORDER, "websocket.http.response.body was sent after websocket.accept"),
    (AFTER, {"type": "websocket.send"}, VALUE, "neither bytes nor text"),
    (AFTER, {"type": "websocket.send", "bytes": None, "text": None}, VALUE, "neither bytes nor text"),
    (AFTER, {"type": "websocket.send", "bytes": b"", "text": ""}, VALUE, "both bytes and text"),
    (AFTER, {"type": "websocket.send", "text": b"x"}, TYPE, "text must be a str, not bytes"),
    (AFTER, {"type": "websocket.send", "bytes": "x"}, TYPE, "bytes must be bytes, not str"),
    (AFTER, {"type": "websocket.send", "text": "\ud800"}, VALUE, "surrogates not allowed"),
    (
        AFTER,
        {"type": "websocket.close", "code": 1005},
        VALUE,
        "code must be from 1000 to 1003, 1007 to 1014 or 3000 to 4999, not 1005",
    ),
    (AFTER, {"type": "websocket.close", "code": 1 << 80}, VALUE, "websocket.close"),
    (AFTER, {"type": "websocket.close", "code": "1000"}, TYPE, "websocket.close"),
    (AFTER, {"type": "websocket.close", "reason": b"x"}, TYPE, "reason must be a str or None, not bytes"),
    (AFTER, {"type": "websocket.close", "reason": "é" * 62}, VALUE, "reason has 124 bytes, the limit is 123"),
    (DENIED, ACCEPT, ORDER, "websocket.accept was sent after websocket.http.response.start"),
    (DENIED, SEND, ORDER, "websocket.send was sent after websocket.http.response.start"),
    (DENIED, LEAVE, ORDER, "websocket.close was sent after websocket.http.response.start"),
    (ENDED, LEAVE, ORDER, "websocket.close was sent after the response was complete"),
    (ENDED, SEND, ORDER, "websocket.send was sent after the response was complete"),
]


@pytest.mark.parametrize(("when", "message", "error", "words"), MISTAKES)
def test_a_mistake_leaves_no_trace(bare, when, message, error, words):
    peer, socket = meet(bare, accept=when in (AFTER, ENDED))
    if when == DENIED:
        socket.send(RESPONSE)
    if when == ENDED:
        socket.send(LEAVE)
    for _ in range(2):
        with pytest.raises(error) as caught:
            socket.send(message)
        assert words in str(caught.value) and isinstance(caught.value, errors.ResponseError)
    if when == DENIED:
        socket.send(RESPONSE_BODY)
        assert peer.read_response().body == b"no"
        return
    if when == BEFORE:
        socket.send(ACCEPT)
        assert peer.read_response().status == 101
    if when != ENDED:
        socket.send(SEND)
        assert peer.read_frame() == Frame(TEXT, b"x")
        socket.send(LEAVE)
    assert peer.read_close() == (1000, "")


def test_the_end(bare):
    peer, socket = meet(bare)
    waiting = socket.receive()
    future = waits(waiting)
    peer.send(close(4000, b"bye"))
    bare.until(future.done)
    assert result(waiting) == {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}
    assert socket.gone and peer.read_close() == (4000, "")


def test_failing(bare):
    peer, socket = meet(bare)
    socket.fail()
    socket.fail()
    assert peer.read_close() == (1011, "") and socket.complete


def test_a_core_that_is_closed(bare):
    peer, socket = meet(bare)
    socket.send({"type": "websocket.send", "bytes": bytes(5_000_000)})
    waiting = socket.receive()
    future = waits(waiting)
    bare.core.close()
    assert future.done() and result(waiting)["code"] == 1006


# ---- memory errors ----


@pytest.mark.no_adversary
def test_a_handshake_is_dispatched_or_refused(warm, every_allocation, stays):  # noqa: F811
    bare = warm

    def attempt(memory):
        peer, n = bare.connect(), len(bare.scopes)
        bare.core.poll(0)
        peer.socket._socket.send(SHAKE)
        poll, before = bare.core.poll, bare.core.stats()["requests"]
        with memory:
            try:
                poll(0)
            except MemoryError:
                pass
        bare.until(lambda: bare.core.stats()["requests"] > before)
        bare.core.poll(0)
        done = len(bare.scopes) > n
        if not done:
            assert outcome(peer) in (500, None)
        return done and bare.scopes[-1]["subprotocols"] == ["a", "b"]

    assert every_allocation(attempt, stays) > 5


@pytest.mark.parametrize(
    "said", [text("é" * 100), frame(BINARY, bytes(70_000)), frame(TEXT, b"a", fin=0) + frame(CONTINUATION, b"b" * 9)]
)
@pytest.mark.no_adversary
def test_a_message_arrives_whole_or_the_socket_ends(bare, every_allocation, stays, said):  # noqa: F811
    def attempt(memory):
        peer, socket = meet(bare)
        peer.socket._socket.send(said)
        poll = bare.core.poll
        with memory:
            try:
                poll(0.02)
                poll(0.02)
            except MemoryError:
                pass
        bare.core.poll(0.01)
        message = result(socket.receive())
        if message["type"] == "websocket.disconnect":
            assert peer.read_close()[0] == 1011
            return False
        assert len(message.get("text") or message["bytes"]) in (100, 70_000, 10)
        return True

    every_allocation(attempt, stays)


MESSAGES = {
    "accept": [{**ACCEPT, "subprotocol": "b", "headers": [[b"a", b"b"]]}],
    "text": [ACCEPT, SEND],
    "borrowed": [ACCEPT, {"type": "websocket.send", "text": "é" * 5000}],
    "buffer": [ACCEPT, {"type": "websocket.send", "bytes": bytearray(5000)}],
    "close": [ACCEPT, {"type": "websocket.close", "code": 1001, "reason": "é"}],
    "refuse": [LEAVE],
    "deny": [RESPONSE, RESPONSE_BODY],
    "wrong": [{**ACCEPT, "subprotocol": "c"}],
}


@pytest.mark.no_adversary
@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES)
def test_a_send_that_fails_is_told(bare, every_allocation, stays, messages):  # noqa: F811
    def attempt(memory):
        _, socket = meet(bare, accept=False)
        send, failed = socket.send, False
        for message in messages[:-1]:
            send(message)
        with memory:
            try:
                send(messages[-1])
            except MemoryError:
                failed = True
            except ValueError:
                pass
        socket.fail()
        for _ in range(3):
            bare.core.poll(0)
        return not failed

    every_allocation(attempt, stays)


@pytest.mark.no_adversary
def test_a_receive_that_fails_has_taken_nothing(bare, every_allocation, stays):  # noqa: F811
    def attempt(memory):
        nonlocal receive
        peer, socket = meet(bare)
        peer.send(text("kept"))
        bare.core.poll(0.01)
        receive, box[0], failed, coroutine = socket.receive, None, False, taking()
        with memory:
            try:
                coroutine.send(None)
            except StopIteration:
                pass
            except MemoryError:
                failed = True
        if box[0] is None and sys.version_info < (3, 12):
            assert result(socket.receive())["text"] == "kept"
        coroutine.close()
        socket.fail()
        return not failed

    async def taking():
        box[0] = await receive()

    receive, box = None, [None]
    assert every_allocation(attempt, stays) > 1

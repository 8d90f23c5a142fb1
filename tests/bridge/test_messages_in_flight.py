"""Messages that change while send() reads them, borrowed bodies, and how much send() accepts before the app waits."""

import gc
import os
import sys

import pytest
from evil import LENGTH, Evil, EvilBytes, body, start

import saltare
from bare import BODY, START, Done, step

# ---- messages that change while send() reads them ----


def test_an_iterator_of_headers_that_sends_first(bare):
    peer, exchange = bare.ask()

    def headers():
        exchange.send(START)
        yield LENGTH

    with pytest.raises(RuntimeError, match="sent twice"):
        exchange.send(start(headers=headers()))
    exchange.send(BODY)
    assert peer.read_response().body == b"ok"


def test_an_iterator_of_headers_that_answers_first(bare):
    peer, exchange = bare.ask()

    def headers():
        bare.answer(exchange)
        yield LENGTH

    with pytest.raises(RuntimeError, match="after the response was complete"):
        exchange.send(start(headers=headers()))
    assert peer.read_response().body == b"ok"


def test_an_iterator_of_headers_that_answers_another(bare):
    peer, exchange = bare.ask()
    other_peer, other = bare.ask()

    def headers():
        bare.answer(other)
        bare.core.poll(0)
        yield LENGTH

    exchange.send(start(headers=headers()))
    exchange.send(BODY)
    assert peer.read_response().body == other_peer.read_response().body == b"ok"


@pytest.mark.parametrize(
    "pair", [lambda evil: (evil, b"\0"), lambda evil: (b"a", evil), lambda evil: (b"a", Evil(evil.act))]
)
def test_a_header_that_sends_while_it_is_refused(bare, pair):
    peer, exchange = bare.ask()
    other_peer, other = bare.ask()
    evil = EvilBytes(b"\0")
    acted = []

    def act():
        acted.append(1)
        other.send(start(headers=[(b"content-length", b"100000")]))
        other.send(body(body=b"x" * 100_000))
        bare.core.poll(0)

    evil.act = act
    with pytest.raises((ValueError, TypeError)):
        exchange.send(start(headers=[LENGTH, pair(evil)]))
    assert acted
    bare.answer(exchange)
    assert peer.read_response().body == b"ok"
    assert other_peer.read_response().body == b"x" * 100_000


@pytest.mark.parametrize("key", ["status", "headers"])
def test_a_start_that_loses_what_is_looked_at(bare, key):
    peer, exchange = bare.ask()
    message = start(headers=[LENGTH])

    def forget():
        message.pop(key, None)
        gc.collect()

    message[key] = Evil(forget)
    exchange.send(message)
    exchange.send(BODY)
    assert peer.read_response().body == b"ok"


@pytest.mark.parametrize("size", [2, 100_000])
def test_a_body_that_is_lost_while_more_body_is_looked_at(bare, size):
    peer, exchange = bare.ask()
    exchange.send(start())

    def forget():
        message.clear()
        gc.collect()
        return [bytes(size) for _ in range(100)]

    message = body(body=bytes(range(2)) * (size // 2), more_body=Evil(forget))
    exchange.send(message)
    assert peer.read_response().body == bytes(range(2)) * (size // 2)


def test_more_body_that_completes_the_answer(bare):
    peer, exchange = bare.ask()
    exchange.send(START)
    with pytest.raises(RuntimeError, match="after the response was complete"):
        exchange.send(body(body=b"no", more_body=Evil(lambda: exchange.send(BODY))))
    assert peer.read_response().body == b"ok"


def test_more_body_that_ends_the_connection(bare):
    peer, exchange = bare.ask()
    exchange.send(START)

    def go():
        peer.close()
        bare.until(lambda: exchange.gone)

    with pytest.raises(saltare.ClientDisconnected):
        exchange.send(body(body=b"no", more_body=Evil(go)))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="buffers in Python are new in 3.12")
@pytest.mark.parametrize("size", [2, 100_000])
def test_a_body_whose_buffer_is_made_in_python(bare, size):
    other_peer, other = bare.ask()
    peer, exchange = bare.ask()
    exchange.send(start())
    released = []

    class Buffer:
        def __buffer__(self, flags):
            message.clear()
            gc.collect()
            bare.answer(other)
            bare.core.poll(0)
            return memoryview(b"x" * size)

        def __release_buffer__(self, view):
            released.append(len(view))
            bare.core.poll(0)

    message = body(body=Buffer())
    exchange.send(message)
    assert peer.read_response().body == b"x" * size
    assert other_peer.read_response().body == b"ok"
    assert released == [size]


# ---- borrowed bodies ----

PIECE = 1 << 20


def piece():
    """Bytes to which nobody else has a reference."""
    return bytes(bytearray(PIECE))


def test_a_large_body_is_held_until_it_is_sent(bare):
    from saltare._core import live

    peer, exchange = bare.ask()
    octets = piece()
    before = sys.getrefcount(octets)
    exchange.send(start(headers=[(b"content-length", b"%d" % PIECE)]))
    exchange.send(body(body=octets))
    assert sys.getrefcount(octets) == before + 1
    assert live()["borrowed"] == 1
    assert len(peer.read_response().body) == PIECE
    bare.until(lambda: live()["borrowed"] == 0)
    assert sys.getrefcount(octets) == before


def send_eight_times(bare, exchange, octets, turns):
    """More than the peer accepts, in a response that is not complete; then takes turns."""
    exchange.send(start())
    for _ in range(8):
        exchange.send(body(body=octets, more_body=True)).close()
    for _ in range(turns):
        bare.core.poll(0)


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_a_large_body_is_let_go_when_its_peer_has_gone(bare, turns):
    peer, exchange = bare.ask()
    octets = piece()
    before = sys.getrefcount(octets)
    send_eight_times(bare, exchange, octets, turns)
    peer.close()
    bare.until(lambda: exchange.gone and sys.getrefcount(octets) == before)


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_a_large_body_is_let_go_when_the_core_closes(bare, turns):
    _, exchange = bare.ask()
    octets = piece()
    before = sys.getrefcount(octets)
    send_eight_times(bare, exchange, octets, turns)
    bare.core.close()
    assert sys.getrefcount(octets) == before


def test_a_large_body_nobody_may_see_is_let_go(bare):
    _, exchange = bare.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
    octets = piece()
    before = sys.getrefcount(octets)
    exchange.send(start())
    step(exchange.send(body(body=octets, more_body=True)))
    exchange.send(body(body=octets))
    bare.until(lambda: sys.getrefcount(octets) == before)


# ---- how much send() accepts before the app waits ----


START_OPEN = {"type": "http.response.start", "status": 200}


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (START_OPEN, {"type": "http.response.body", "body": b"x", "more_body": True}),
        (START_OPEN, {"type": "http.response.body", "body": b"", "more_body": True}),
        (START_OPEN, {"type": "http.response.body", "body": bytearray(1), "more_body": True}),
        (None, {"type": "http.response.early_hint", "links": [b"</a>"]}),
        ("trailers", {"type": "http.response.trailers", "headers": [], "more_trailers": True}),
        ("file", {"type": "http.response.zerocopysend", "count": 1, "more_body": True}),
        ("file", {"type": "http.response.zerocopysend", "count": 0, "more_body": True}),
    ],
    ids=["a byte", "nothing", "a buffer", "hints", "trailers", "files", "empty files"],
)
def test_an_app_that_says_little_again_and_again_waits(bare, tmp_path, before, message):
    """Each piece counts its overhead, so that thousands of tiny ones do not wait in one turn."""
    peer, exchange = bare.ask()
    most = 200
    if before == "trailers":
        exchange.send({**START_OPEN, "trailers": True})
        exchange.send({"type": "http.response.body"})
    elif before is not None:
        exchange.send(START_OPEN)
    if before == "file":
        (tmp_path / "file").write_bytes(b"content")
        with open(tmp_path / "file", "rb") as file:
            check_waits(
                bare, exchange, {**message, "file": file.fileno(), "offset": 0}, 20 if message["count"] else most
            )
    else:
        check_waits(bare, exchange, message, most)


def check_waits(bare, exchange, message, most):
    open_before = descriptors()
    for _ in range(most):
        outcome = step(exchange.send(message))
        if not isinstance(outcome, Done):
            break
    else:
        raise AssertionError(f"{most} messages, and it goes on")
    assert descriptors() <= open_before + 20
    bare.until(outcome.done)
    assert descriptors() == open_before
    assert isinstance(step(exchange.send(message)), Done)

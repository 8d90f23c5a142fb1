"""send() after the peer has gone: ignored as often as the core says, then an error."""

import pytest
from evil import Evil

import saltare
from bare import BODY, START, post, result, step, waits
from test_websocket import SEND, meet

STREAM = {**START, "headers": []}
PIECE = {"type": "http.response.body", "body": b"x", "more_body": True}
FILE = {"type": "http.response.pathsend", "path": __file__}


def gone(bare, ignored):
    """An exchange whose peer has gone before it sent its whole request."""
    bare.core.ignored_most = ignored
    peer, exchange = bare.ask(post(length=2))
    peer.close()
    bare.until(lambda: exchange.gone)
    return exchange


def is_ignored(awaitable):
    """The loop takes a turn, in which the app may see its disconnect."""
    assert step(awaitable) is None
    assert result(awaitable) is None


@pytest.mark.parametrize("ignored", [0, 1, 3, 255])
@pytest.mark.parametrize("messages", [[STREAM, PIECE], [PIECE], [FILE], [{"type": "http.response.trailers"}]])
def test_so_many_messages_are_ignored(bare, ignored, messages):
    exchange = gone(bare, ignored)
    for number in range(ignored):
        is_ignored(exchange.send(messages[min(number, len(messages) - 1)]))
    for _ in range(3):
        with pytest.raises(saltare.ClientDisconnected):
            exchange.send(PIECE)
    assert not exchange.started and not exchange.complete
    exchange.fail()


def test_each_request_counts_its_own(bare):
    for _ in range(3):
        exchange = gone(bare, 1)
        exchange.send(PIECE)
        with pytest.raises(saltare.ClientDisconnected):
            exchange.send(PIECE)


def test_what_is_no_message_is_an_error_all_the_same(bare):
    exchange = gone(bare, 9)
    for message, error in [(3, TypeError), ({}, ValueError), ({"type": "http.response.none"}, ValueError)]:
        with pytest.raises(error):
            exchange.send(message)


def test_a_send_that_waits_for_a_peer_that_goes_is_done(bare):
    bare.core.ignored_most = 1
    peer, exchange = bare.ask(post(length=2))
    exchange.send(STREAM)
    sending = exchange.send({**PIECE, "body": bytes(20_000_000)})
    waits(sending)
    peer.close()
    bare.until(lambda: exchange.gone)
    assert result(sending) is None
    is_ignored(exchange.send(BODY))
    with pytest.raises(saltare.ClientDisconnected):
        exchange.send(BODY)


def test_a_peer_that_goes_while_its_message_is_read(bare):
    bare.core.ignored_most = 1
    peer, exchange = bare.ask(post(length=2))
    exchange.send(STREAM)

    def leave():
        peer.close()
        bare.until(lambda: exchange.gone)

    is_ignored(exchange.send({**PIECE, "more_body": Evil(leave)}))
    with pytest.raises(saltare.ClientDisconnected):
        exchange.send(PIECE)


def test_a_websocket_that_has_gone_is_an_error_at_once(bare):
    bare.core.ignored_most = 9
    peer, socket = meet(bare)
    peer.close()
    bare.until(lambda: socket.gone)
    with pytest.raises(saltare.ClientDisconnected):
        socket.send(SEND)
    with pytest.raises(saltare.ClientDisconnected):
        socket.send({"type": "websocket.close"})

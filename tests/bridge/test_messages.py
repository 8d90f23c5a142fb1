"""Which messages send() accepts, and which it rejects."""

import array
import collections
import enum
import http

import pytest
from evil import LENGTH, Evil, body, fail, start

import saltare
from bare import BODY, START, result

# ---- accepted ----


@pytest.mark.parametrize(
    "make",
    [
        dict,
        collections.OrderedDict,
        lambda message: collections.defaultdict(lambda: 1 / 0, message),
        type("Sub", (dict,), {"__getitem__": fail, "get": fail, "__contains__": fail}),
        collections.Counter,
    ],
)
def test_every_dict_is_a_message(bare, make):
    peer, exchange = bare.ask()
    result(exchange.send(make(START)))
    result(exchange.send(make(BODY)))
    assert peer.read_response().body == b"ok"


class Kind(str, enum.Enum):
    START = "http.response.start"
    BODY = "http.response.body"


@pytest.mark.parametrize(
    "types", [Kind, (type("S", (str,), {})(kind) for kind in ("http.response.start", "http.response.body"))]
)
def test_the_type_may_be_any_string(bare, types):
    peer, exchange = bare.ask()
    for kind, message in zip(types, (START, BODY), strict=True):
        exchange.send({**message, "type": kind})
    assert peer.read_response().body == b"ok"


@pytest.mark.parametrize("status", [200, http.HTTPStatus.OK, type("I", (int,), {})(200), Evil(int)])
@pytest.mark.filterwarnings("ignore:an integer is required:DeprecationWarning")
def test_the_status_may_be_any_integer(bare, status):
    peer, exchange = bare.ask()
    exchange.send({**START, "status": status})
    exchange.send(BODY)
    assert peer.read_response().status == 200


@pytest.mark.parametrize(
    "make",
    [
        lambda: [LENGTH],
        lambda: (LENGTH,),
        lambda: [list(LENGTH)],
        lambda: iter([LENGTH]),
        lambda: (header for header in [LENGTH]),
        lambda: {LENGTH: None},
        lambda: {LENGTH},
        lambda: dict([LENGTH]).items(),
        lambda: [iter(LENGTH)],
        lambda: (dict.fromkeys(header) for header in [LENGTH]),
        lambda: [type("T", (tuple,), {"__iter__": fail, "__len__": fail})(LENGTH)],
        lambda: [tuple(map(type("B", (bytes,), {}), LENGTH))],
        lambda: Evil(int),
    ],
)
def test_headers_may_be_any_iterable_of_pairs(bare, make):
    peer, exchange = bare.ask()
    exchange.send(start(headers=make()))
    exchange.send(BODY)
    answer = peer.read_response()
    assert answer.get("content-length") == "2"
    assert answer.body == b"ok"


@pytest.mark.parametrize("message", [start(), start(headers=None), start(headers=[]), start(headers=())])
def test_headers_may_be_left_out(bare, message):
    peer, exchange = bare.ask()
    exchange.send(message)
    exchange.send(BODY)
    assert peer.read_response().body == b"ok"


@pytest.mark.parametrize("size", [0, 1, 2, 4096, 4097, 100_000])
@pytest.mark.parametrize(
    "make",
    [
        bytes,
        type("B", (bytes,), {}),
        bytearray,
        memoryview,
        lambda octets: memoryview(bytearray(octets))[:],
        lambda octets: array.array("b", octets),
        lambda octets: memoryview(octets).cast("c"),
    ],
)
def test_a_body_may_be_any_run_of_bytes(bare, make, size):
    octets = bytes(range(256)) * (size // 256 + 1)
    peer, exchange = bare.ask()
    exchange.send(start())
    exchange.send(body(body=make(octets[:size])))
    assert peer.read_response().body == octets[:size]


def test_a_body_may_be_left_out(bare):
    peer, exchange = bare.ask()
    exchange.send(start())
    exchange.send(body())
    assert peer.read_response().body == b""


def test_a_bytearray_may_be_changed_once_it_was_sent(bare):
    peer, exchange = bare.ask()
    exchange.send(start())
    piece = bytearray(b"first" * 2000)
    exchange.send(body(body=piece, more_body=True))
    piece[:] = b"other" * 2000
    piece.clear()
    exchange.send(body())
    assert peer.read_response().body == b"first" * 2000


def test_more_body_may_be_anything_with_a_truth(bare):
    peer, exchange = bare.ask()
    exchange.send(start())
    for more in (1, "yes", [0], True, 0.1):
        exchange.send(body(body=b"x", more_body=more))
    exchange.send(body(more_body=None))
    assert peer.read_response().body == b"xxxxx"


# ---- rejected ----


@pytest.mark.parametrize("message", [None, 3, b"", [], "http.response.start", [("type", "http.response.start")]])
def test_what_is_no_dict(bare, message):
    _, exchange = bare.ask()
    with pytest.raises(TypeError, match="takes a dict"):
        exchange.send(message)


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        ({}, ValueError, "no type"),
        ({"type": None}, ValueError, "no type"),
        ({"type": b"http.response.start"}, ValueError, "no type"),
        ({"type": ""}, ValueError, "unknown message type ''"),
        ({"type": "http.response.star"}, ValueError, "unknown message type"),
        ({"type": "http.response.start\0"}, ValueError, "unknown message type"),
        ({"type": "http.response.trailers"}, RuntimeError, "before http.response.start"),
        ({"type": "http.response.pathsend"}, RuntimeError, "before http.response.start"),
        ({"type": "http.response.zerocopysend"}, RuntimeError, "before http.response.start"),
        ({"type": "http.response.early_hint"}, ValueError, "no links"),
        ({"type": "http.response.early_hint", "links": 3}, TypeError, "not iterable"),
        ({"type": "http.response.early_hint", "links": Evil(fail)}, ZeroDivisionError, None),
        ({"type": "http.response.early_hint", "links": [b"a", "b"]}, TypeError, "must be bytes, not str"),
        ({"type": "http.response.early_hint", "links": [b"a\r\nb: c"]}, ValueError, "0x0d"),
        ({"type": "saltare.sendfile"}, ValueError, "no path"),
        ({"type": "saltare.sendfile", "path": None}, TypeError, None),
        ({"type": "saltare.sendfile", "path": "a\0b"}, ValueError, "null"),
        ({"type": "saltare.sendfile", "path": "/nonexistent"}, FileNotFoundError, "/nonexistent"),
        ({"type": "saltare.sendfile", "path": "/proc"}, ValueError, "not a regular file: '/proc'"),
        ({"type": "saltare.sendfile", "path": "/dev/null"}, ValueError, "not a regular file"),
        ({"type": "saltare.sendfile", "path": __file__, "status": 99}, ValueError, "not 99"),
        ({"type": "saltare.sendfile", "path": __file__, "headers": [("a", b"b")]}, TypeError, "not str"),
        ({"type": "http.response.st\u00e4rt"}, ValueError, "unknown message type"),
        ({"type": "\udc80"}, ValueError, "unknown message type"),
        ({"type": "http.response.start"}, ValueError, "no status"),
        (start(status=None), TypeError, None),
        (start(status="200"), TypeError, None),
        (start(status=200.0), TypeError, None),
        (start(status=-1), ValueError, "not -1"),
        (start(status=0), ValueError, "not 0"),
        (start(status=True), ValueError, "not 1"),
        (start(status=199), ValueError, "not 199"),
        (start(status=1000), ValueError, "not 1000"),
        (start(status=200 + (1 << 32)), ValueError, "from 200 to 999"),
        (start(status=200 + (1 << 64)), ValueError, "too large"),
        (start(status=-(1 << 200)), ValueError, "too large"),
        (start(status=Evil(fail)), ZeroDivisionError, None),
        (start(headers=3), TypeError, "iterable of pairs"),
        (start(headers=Evil(fail)), ZeroDivisionError, None),
        (start(headers="ab"), ValueError, "1 items"),
        (start(headers=b"ab"), TypeError, "not iterable"),
        (start(headers=[b"ab"]), TypeError, "must be bytes, not int"),
        (start(headers={"a": "b"}), ValueError, "1 items"),
        (start(headers=[LENGTH, ()]), ValueError, "0 items"),
        (start(headers=[LENGTH, (b"a", b"b", b"c")]), ValueError, "3 items"),
        (start(headers=[LENGTH, None]), TypeError, "not iterable"),
        (start(headers=[LENGTH, Evil(fail)]), ZeroDivisionError, None),
        (start(headers=[("a", b"b")]), TypeError, "name must be bytes, not str: 'a'"),
        (start(headers=[(b"a", "b")]), TypeError, "value must be bytes, not str: 'b'"),
        (start(headers=[(bytearray(b"a"), b"b")]), TypeError, "not bytearray"),
        (start(headers=[(b"a", memoryview(b"b"))]), TypeError, "not memoryview"),
        (start(headers=[(b"a", Evil(fail))]), (ZeroDivisionError, TypeError), None),  # depends on CPython's version
        (start(headers=[(b"", b"b")]), ValueError, "empty name"),
        (start(headers=[LENGTH, (b"a b", b"c")]), ValueError, "0x20"),
        (start(headers=[LENGTH, (b"a", b"b\r\nc: d")]), ValueError, "0x0d"),
        (start(headers=[LENGTH, (b"a", b"b\0")]), ValueError, "0x00"),
    ],
)
def test_a_message_that_is_refused_leaves_no_trace(bare, message, error, text):
    peer, exchange = bare.ask()
    with pytest.raises(error, match=text):
        exchange.send(message)
    assert not exchange.started
    bare.answer(exchange)
    answer = peer.read_response()
    assert (answer.status, answer.body, len(answer.all("content-length"))) == (200, b"ok", 1)


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        (body(body=None), TypeError, "must be bytes, not NoneType"),
        (body(body="text"), TypeError, "must be bytes, not str"),
        (body(body=[b"x"]), TypeError, "must be bytes, not list"),
        (body(body=memoryview(b"abcd")[::2]), BufferError, None),
        (body(body=b"xx", more_body=Evil(fail)), ZeroDivisionError, None),
        (body(body=b"x" * 100_000, more_body=Evil(fail)), ZeroDivisionError, None),
        (start(), RuntimeError, "sent twice"),
    ],
)
def test_a_piece_that_is_refused_leaves_no_trace(bare, message, error, text):
    peer, exchange = bare.ask()
    exchange.send(START)
    with pytest.raises(error, match=text):
        exchange.send(message)
    exchange.send(BODY)
    assert peer.read_response().body == b"ok"


@pytest.mark.parametrize("where", ["name", "value"])
def test_an_octet_that_passes_here_passes_in_the_core(bare, where):
    """Both sides of the bridge check field syntax: C to raise in the app, Go so that nothing slips through."""
    passed = []
    for octet in map(bytes, zip(range(256), strict=True)):
        peer, exchange = bare.ask()
        header = (b"x" + octet, b"") if where == "name" else (b"x", b"v" + octet + b"v")
        try:
            exchange.send(start(headers=[LENGTH, header]))
        except saltare.errors.MessageValueError:
            exchange.fail()
            assert peer.read_response().status == 500
            continue
        passed.append(octet)
        exchange.send(BODY)
        answer = peer.read_response()
        assert (answer.status, answer.body) == (200, b"ok")
        assert b"\r\n%b: %b\r\n" % header in answer.head
    assert len(passed) == (77 if where == "name" else 224)


@pytest.mark.parametrize(
    "message",
    [
        start(status="200"),
        start(status=1 << 70),
        start(headers=3),
        start(headers=[None]),
        {"type": "http.response.early_hint", "links": 3},
        {"type": "saltare.sendfile", "path": 3},
        {"type": "saltare.sendfile", "path": "a\0b"},
    ],
)
def test_every_refusal_has_a_name(bare, message):
    _, exchange = bare.ask()
    with pytest.raises(saltare.errors.ResponseError, match=message["type"]):
        exchange.send(message)


def test_the_order_of_messages(bare):
    peer, exchange = bare.ask()
    with pytest.raises(RuntimeError, match="body was sent before http.response.start"):
        exchange.send(BODY)
    bare.answer(exchange)
    for message in (START, BODY):
        with pytest.raises(RuntimeError, match="after the response was complete"):
            exchange.send(message)
    assert peer.read_response().body == b"ok"

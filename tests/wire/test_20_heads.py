"""Request heads on the wire: in pieces of every size, and every kind that is rejected."""

import re
import socket
import time
from pathlib import Path

import pytest

from harness import HANG
from wire_apps import QUIET, answer, answered, body_of, get, hello, mirror, post, post_chunked, refused, request

CORPUS = sorted((Path(__file__).parent.parent / "corpus").glob("*.http"))
NEVER_ASKED = {"200-connect.http": 501, "200-connect-ipv6.http": 501}  # complete, but the server itself responds


def test_one_byte_at_a_time(serve, raw):
    client = raw(serve(mirror, **QUIET))
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for message, body in [(get("/a"), b"/a "), (post(b"hello"), b"/ hello"), (post_chunked(b"hel", b"lo"), b"/ hello")]:
        for byte in message:
            client.send(bytes([byte]))
            time.sleep(0.0003)
        assert client.read_exactly(len(answered(body))) == answered(body)


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (get("/a", "Accept: */*"), b"/a "),
        (post(b"hello"), b"/ hello"),
        (post_chunked(b"hel", b"lo", end=b"0;last\r\nTrailer: x\r\n\r\n"), b"/ hello"),
    ],
    ids=["get", "length", "chunked"],
)
def test_every_split_point(serve, raw, message, body):
    """Each request in two pieces, cut at every position, all on one connection, so that no piece may be left over."""
    client = raw(serve(mirror, **QUIET, max_keepalive_requests=0))
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(1, len(message)):
        client.send(message[:at])
        time.sleep(0.0005)
        client.send(message[at:])
        assert client.read_exactly(len(answered(body))) == answered(body), f"cut at {at}"


async def count(scope, receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.http.response.start", "status": 200})
        await send({"type": "websocket.http.response.body"})
        return
    body = await body_of(receive)
    if body is not None:
        await answer(send, b"%d bytes\n" % len(body))


def statuses(data):
    return [int(number) for number in re.findall(rb"^HTTP/1\.1 (\d{3}) ", data, re.MULTILINE)]


def test_corpus(serve):
    """Every raw request of tests/corpus, each on its own connection, all at the same time."""
    server = serve(count, header_timeout=2, body_timeout=2, keep_alive_timeout=2, max_request_body=0)
    clients = {}
    for path in CORPUS:
        client = clients[path.name] = socket.create_connection(("127.0.0.1", server.port), HANG)
        client.sendall(path.read_bytes())
    wrong = {}
    for name, client in clients.items():
        data = b""
        with client:
            while piece := client.recv(65536):
                data += piece
        final = [status for status in statuses(data) if status != 100]
        outcome = NEVER_ASKED.get(name, int(name[:3]))
        if not final or final[-1] != outcome or not set(final[:-1]) <= {200}:
            wrong[name] = final
    assert not wrong
    assert len(CORPUS) > 200


REFUSED = {
    "400 Bad Request": b"GET / HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n",
    "414 URI Too Long": b"GET /" + b"a" * 16384 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "417 Expectation Failed": get("/", "Expect: 200-ok"),
    "431 Request Header Fields Too Large": get("/", "A: " + "x" * 65536),
    "501 Not Implemented": request("POST", "/", "Transfer-Encoding: gzip, chunked"),
    "505 HTTP Version Not Supported": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_byte_for_byte(serve, raw, status):
    client = raw(serve(hello, **QUIET))
    assert client.send(REFUSED[status]).read_all() == refused(status)


@pytest.mark.parametrize("status", REFUSED)
def test_a_refusal_reaches_a_client_that_is_still_sending(serve, raw, status):
    client = raw(serve(hello, **QUIET)).send(REFUSED[status])
    for _ in range(20):
        client.send(b"x" * 4096)
        time.sleep(0.001)
    assert client.read_all() == refused(status)


@pytest.mark.parametrize("status", REFUSED)
def test_what_follows_a_refused_request_is_never_a_request(serve, raw, status):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["path"])
        await hello(scope, receive, send)

    client = raw(serve(app, **QUIET)).send(get("/first") + REFUSED[status] + get("/second") * 3)
    assert client.read_all() == answered(b"hello") + refused(status)
    assert seen == ["/first"]


def test_the_largest_head_that_is_taken(serve, raw):
    """65,536 bytes in all, of which 16,384 are a request line without its end."""
    seen = []

    async def app(scope, receive, send):
        seen.append((len(scope["raw_path"]), dict(scope["headers"])[b"a"]))
        await hello(scope, receive, send)

    line = b"GET /" + b"p" * (16384 - len("GET / HTTP/1.1")) + b" HTTP/1.1\r\nHost: test\r\nA: "
    head = line + b"x" * (65536 - len(line) - 4) + b"\r\n\r\n"
    client = raw(serve(app, **QUIET)).send(head)
    assert client.read_exactly(len(answered(b"hello"))) == answered(b"hello")
    assert seen == [(16384 - len("GET  HTTP/1.1"), head[len(line) : -4])]


def test_refusals_are_logged_when_debugging(serve, raw):
    server = serve(hello, log_level="debug")
    raw(server).send(b"GET / HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n").read_all()
    server.wait_for_log("answered 400 while reading the request head")
    assert "RFC 9112 5.1" in server.logs()

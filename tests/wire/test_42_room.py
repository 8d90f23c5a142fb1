"""The limit of connections, and limits of a head: which connection closes, which is refused, and what the log says."""

import time

import pytest

from harness import wait_until
from saltare import _core
from wire_apps import QUIET, answered, get, hello, refused

OK = answered(b"hello")


def test_what_has_closed_makes_room(serve_by, raw):
    server = serve_by(hello, **QUIET, max_concurrent_connections=2)
    for _ in range(10):
        raw(server).close()
        first, second = raw(server), raw(server)
        time.sleep(0.1)
        third = raw(server)
        assert third.read_all() == b""
        for client in (first, second):
            assert client.send(get()).read_exactly(len(OK)) == OK
            client.close()
        wait_until(lambda: _core.live()["connections"] == 0)
    server.wait_for_log("exceeds max_concurrent_connections of 2 (--max-concurrent-connections)")
    assert server.logs().count("max_concurrent_connections") == 1


def test_the_longest_idle_makes_room(serve_by, raw):
    server = serve_by(hello, **QUIET, max_concurrent_connections=5)
    clients = []
    for _ in range(5):
        clients.append(raw(server).send(get()))
        assert clients[-1].read_exactly(len(OK)) == OK
        time.sleep(0.04)  # longer than the resolution of the server's clock
    clients.append(clients.pop(0))
    assert clients[-1].send(get()).read_exactly(len(OK)) == OK
    for oldest in clients:
        assert raw(server).send(get()).read_exactly(len(OK)) == OK
        assert oldest.read_all() == b""
        time.sleep(0.04)
    assert "max_concurrent_connections" not in server.logs()


REFUSED = {
    "max_request_line": (300, "300 bytes", "414 URI Too Long", b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "max_request_head": (2000, "2,000 bytes", "431 Request Header Fields Too Large", get("/", "A: " + "x" * 2000)),
    "max_request_fields": (10, "10", "431 Request Header Fields Too Large", get("/", *["A: b"] * 10)),
    "max_request_body": (
        5,
        "5 bytes",
        "413 Content Too Large",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n123456",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_its_option_once(serve_by, raw, name):
    value, words, status, message = REFUSED[name]
    server = serve_by(hello, **QUIET, **{name: value})
    for _ in range(5):
        assert raw(server).send(message).read_all() == refused(status)
    server.wait_for_log(f"exceeds {name} of {words} (--{name.replace('_', '-')}); further ones")
    assert server.logs().count(name) == 1
    assert "WARNING saltare: a request was refused with" in server.logs()


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
FIXED = {
    "its trailer section exceeds the fixed limit of 4,096 bytes": CHUNKED + b"0\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    "a chunk extension exceeds the fixed limit of 256 bytes": CHUNKED + b"1;" + b"e" * 1000 + b"\r\nh\r\n0\r\n\r\n",
    "its method exceeds the fixed limit of 24 bytes": b"M" * 100 + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("words", FIXED)
def test_a_refusal_by_a_limit_without_an_option_is_logged_once(serve, raw, words):
    server = serve(hello, **QUIET)
    for _ in range(3):
        raw(server).send(FIXED[words]).read_all()
    server.wait_for_log(f"{words}; further ones within a minute")
    assert server.logs().count("fixed limit") == 1


def test_a_head_as_large_as_uvicorns_users_allow(serve, raw):
    seen = []

    async def app(scope, receive, send):
        seen.append(len(dict(scope["headers"])[b"cookie"]))
        await hello(scope, receive, send)

    client = raw(serve(app, **QUIET, h11_max_incomplete_event_size=1 << 20))
    for size in (100, 50_000, 1_000_000, 100):
        assert client.send(get("/", "Cookie: " + "x" * size)).read_exactly(len(OK)) == OK
    assert seen == [100, 50_000, 1_000_000, 100]

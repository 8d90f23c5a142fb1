"""Limits on clients: requests in progress, the age of connections, connections and requests of one address."""

import asyncio
import contextlib
import socket
import threading
from ipaddress import IPv4Address
from random import Random

import pytest

from frames import FIELDS
from harness import HANG, wait_until
from rawsocket import Raw
from wire_apps import QUIET, answer, answered, answered_last, get, hello, post, refused, request

RETRY = "retry-after: 1"
BUSY = refused("503 Service Unavailable", RETRY)
BUSY_KEPT = BUSY.replace(b"connection: close\r\n", b"")


class Gate:
    """An app that answers `/wait...` once it is open, and counts the requests that wait."""

    def __init__(self):
        self.waiting, self.opened = 0, threading.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            return await until_closed(receive)
        if scope["path"] == "/late":
            await answer(send, b"done")
            return await self.wait()
        if scope["path"].startswith("/wait"):
            await self.wait()
        await answer(send, scope["path"].encode())

    async def wait(self):
        self.waiting += 1
        try:
            while not self.opened.is_set():
                await asyncio.sleep(0.001)
        finally:
            self.waiting -= 1

    def until(self, n):
        wait_until(lambda: self.waiting == n, lambda: f"{self.waiting} requests wait, not {n}")


async def until_closed(receive):
    while (await receive())["type"] != "websocket.disconnect":
        pass


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


# ---- limit_concurrency ----


def test_requests_in_progress(serve_by, raw, gate):
    server = serve_by(gate, **QUIET, limit_concurrency=2)
    idle = [raw(server) for _ in range(5)]
    for one in idle:  # idle connections do not count
        assert one.send(get("/first")).read_exactly(len(answered(b"/first"))) == answered(b"/first")
    for one in idle[:2]:
        one.send(get("/wait"))
    gate.until(2)
    third = idle[2].send(get("/third"))
    assert third.read_exactly(len(BUSY_KEPT)) == BUSY_KEPT
    server.wait_for_log("requests in progress exceeds limit_concurrency of 2 (--limit-concurrency)")
    gate.opened.set()
    for one in idle[:2]:
        assert one.read_exactly(len(answered(b"/wait"))) == answered(b"/wait")
    gate.until(0)
    assert third.send(get("/again")).read_exactly(len(answered(b"/again"))) == answered(b"/again")
    assert server.logs().count("limit_concurrency") == 1


def test_a_refusal_ends_a_connection_that_cannot_stay(serve, raw, gate):
    server = serve(gate, **QUIET, limit_concurrency=1)
    raw(server).send(get("/wait"))
    gate.until(1)
    for message in [
        post(b"", length=5),  # its body is still to come
        request("POST", "/", "Transfer-Encoding: chunked"),
        get("/", "Connection: close"),
        get("/", version="1.0"),
    ]:
        assert raw(server).send(message).read_all() == BUSY
    head, without_body = raw(server).send(request("HEAD", "/")), BUSY_KEPT.removesuffix(b"Service Unavailable\n")
    assert head.read_exactly(len(without_body)) == without_body
    assert head.send(get()).read_exactly(len(BUSY_KEPT)) == BUSY_KEPT
    old = raw(server).send(get("/", "Connection: keep-alive", version="1.0")).read_response()
    assert (old.status, old.get("connection")) == (503, "keep-alive")


def test_pipelined_requests_are_refused_one_by_one(serve, raw, gate):
    server = serve(gate, **QUIET, limit_concurrency=1)
    raw(server).send(get("/wait"))
    gate.until(1)
    client = raw(server).send(get("/a") + get("/b") + get("/c", "Connection: close"))
    assert client.read_all() == BUSY_KEPT * 2 + BUSY


def test_work_after_the_response_counts(serve_by, raw, gate):
    server = serve_by(gate, **QUIET, limit_concurrency=1)
    client = raw(server).send(get("/late"))
    assert client.read_exactly(len(answered(b"done"))) == answered(b"done")
    gate.until(1)
    assert client.send(get()).read_exactly(len(BUSY_KEPT)) == BUSY_KEPT
    gate.opened.set()
    gate.until(0)
    assert client.send(get()).read_exactly(len(answered(b"/"))) == answered(b"/")


def test_work_for_a_client_that_has_gone_counts(serve, raw, gate):
    server = serve(gate, **QUIET, limit_concurrency=1)
    first = raw(server).send(get("/wait"))
    gate.until(1)
    first.reset()
    client = raw(server)
    assert client.send(get()).read_exactly(len(BUSY_KEPT)) == BUSY_KEPT


def test_websockets_count(serve, raw, gate):
    server = serve(gate, **QUIET, limit_concurrency=1)
    first = raw(server).send(get("/", *FIELDS))
    assert first.read_response().status == 101
    assert raw(server).send(get("/", *FIELDS)).read_response().status == 503
    first.reset()
    client = raw(server)

    def answers():
        return client.send(get()).read_response().status == 200

    wait_until(answers)


def test_concurrency_on_a_unix_socket(serve, raw, gate, tmp_path):
    server = serve(gate, **QUIET, limit_concurrency=1, uds_path=str(tmp_path / "socket"))
    raw(server).send(get("/wait"))
    gate.until(1)
    assert raw(server).send(get("/", "Connection: close")).read_all() == BUSY


# ---- max_connection_lifetime ----


def test_an_idle_connection_ends_with_its_time(serve_by, raw):
    client = raw(serve_by(hello, **QUIET, max_connection_lifetime=0.2, keep_alive_timeout=0)).send(get())
    assert client.read_all() in (answered(b"hello"), answered_last(b"hello"))  # the latter after a stall


def test_a_connection_that_never_sends_ends_with_its_time(serve, raw):
    assert raw(serve(hello, **QUIET, max_connection_lifetime=0.2, header_timeout=0)).read_all() == b""


def test_the_response_in_progress_is_finished(serve, raw):
    async def app(scope, receive, send):
        if scope["path"] == "/started":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await asyncio.sleep(0.5)  # longer than the connection's time
        if scope["path"] == "/started":
            return await send({"type": "http.response.body", "body": b"done"})
        await answer(send, b"done")

    server = serve(app, **QUIET, max_connection_lifetime=0.2)
    assert raw(server).send(get()).read_all() == answered_last(b"done")
    assert raw(server).send(get("/started")).read_all() in (answered(b"done"), answered_last(b"done"))


def test_a_websocket_stays(serve, raw):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.5)
        await send({"type": "websocket.send", "text": "still here"})
        await until_closed(receive)

    client = raw(serve(app, **QUIET, max_connection_lifetime=0.1)).send(get("/", *FIELDS))
    assert client.read_response().status == 101
    assert client.read_exactly(12) == b"\x81\x0astill here"


# ---- max_connections_per_ip ----


class From(Raw):
    """A client at another address of this machine, which by default is no proxy that is believed."""

    def __init__(self, source, port):
        self.socket, self._unread = socket.socket(), b""
        self.socket.settimeout(HANG)
        self.socket.bind((source, 0))
        self.port = port

    def connect(self):
        self.socket.connect(("127.0.0.1", self.port))
        return self


def is_served(client, before=b""):
    """Whether it gets a response, not a reset: of connect() as well, which may come that late."""
    try:
        if isinstance(client, From):
            client.connect()
        return client.send(before + get()).read_response().status == 200
    except (ConnectionResetError, BrokenPipeError):
        return False


@pytest.fixture
def client_at():
    with contextlib.ExitStack() as stack:
        yield lambda source, server: stack.enter_context(From(source, server.port))


def test_connections_of_one_address(serve_by, client_at):
    server = serve_by(hello, **QUIET, max_connections_per_ip=2)
    first, second = client_at("127.0.0.2", server), client_at("127.0.0.2", server)
    assert is_served(first) and is_served(second)
    assert not is_served(client_at("127.0.0.2", server))
    server.wait_for_log("address's connections exceeds max_connections_per_ip of 2 (--max-connections-per-ip)")
    assert is_served(client_at("127.0.0.3", server))
    for _ in range(5):  # a proxy that is believed
        assert is_served(client_at("127.0.0.1", server))
    first.close()
    wait_until(lambda: is_served(client_at("127.0.0.2", server)))
    assert second.send(get()).read_response().status == 200
    assert server.logs().count("max_connections_per_ip") == 1


def test_a_reset_tells_the_client_at_once(serve, client_at):
    server = serve(hello, **QUIET, max_connections_per_ip=1)
    assert is_served(client_at("127.0.0.2", server))
    second = client_at("127.0.0.2", server)
    with pytest.raises(ConnectionResetError):
        second.connect().read_exactly(1)


def test_without_proxies_every_address_is_a_client(serve, client_at):
    server = serve(hello, **QUIET, max_connections_per_ip=1, proxy_headers=False)
    assert is_served(client_at("127.0.0.1", server))
    assert not is_served(client_at("127.0.0.1", server))


def test_unix_sockets_have_no_address(serve, raw, tmp_path):
    server = serve(hello, **QUIET, max_connections_per_ip=1, uds_path=str(tmp_path / "socket"), proxy_headers=False)
    assert all(is_served(raw(server)) for _ in range(3))


def test_behind_a_proxy_header_the_client_counts(serve, raw):
    server = serve(hello, **QUIET, max_connections_per_ip=2, proxy_protocol="v1")

    def serves(client, family="TCP4", to="198.51.100.7"):
        return is_served(raw(server), f"PROXY {family} {client} {to} 4711 443\r\n".encode())

    assert serves("192.0.2.1") and serves("192.0.2.1") and not serves("192.0.2.1")
    assert serves("192.0.2.2")
    # An IPv6 client has a network of 64 bits.
    assert serves("2001:db8::1", "TCP6", "::1") and serves("2001:db8::ffff:1", "TCP6", "::1")
    assert not serves("2001:db8::2:1", "TCP6", "::1")
    assert serves("2001:db8:0:1::1", "TCP6", "::1")


def test_many_addresses_at_the_same_time(serve, client_at):
    """Each of 300 connections is of an address of its own; none is refused."""
    server = serve(hello, **QUIET, max_connections_per_ip=1)
    for i in range(300):
        assert is_served(client_at(f"127.1.{i // 100}.{i % 100 + 1}", server))
    assert not is_served(client_at("127.1.0.1", server))


# ---- rate_limit_per_sec ----

TOO_MANY = refused("429 Too Many Requests", RETRY)
TOO_MANY_KEPT = TOO_MANY.replace(b"connection: close\r\n", b"")
BURST = {"rate_limit_per_sec": 1, "rate_limit_burst": 3}


def statuses(client, n, *fields):
    """Of n requests that are sent at once."""
    client.send(get("/", *fields) * n)
    return [client.read_response().status for _ in range(n)]


def test_a_burst_and_then_the_rate(serve_by, raw):
    server = serve_by(hello, **QUIET, **BURST)
    client = raw(server)
    seen = statuses(client, 20)
    assert seen[:3] == [200] * 3 and 429 in seen
    server.wait_for_log("its client's requests exceeds rate_limit_per_sec of 1 per second (--rate-limit-per-sec)")
    wait_until(lambda: statuses(client, 1) == [200])  # after a second, on the same connection
    assert server.logs().count("rate_limit_per_sec") == 1


def test_the_answer_to_too_many(serve, raw):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["path"])
        await answer(send)

    server = serve(app, **QUIET, rate_limit_per_sec=1, rate_limit_burst=1)
    client = raw(server).send(get("/first") + get("/second"))
    assert client.read_exactly(len(answered(b"")) + len(TOO_MANY_KEPT)) == answered(b"") + TOO_MANY_KEPT
    for message in [post(b"", length=5, target="/second"), get("/second", "Connection: close")]:
        # The first request takes the token, if there is one by now.
        taken = raw(server).send(get("/first") + message).read_all()
        assert taken in (answered(b"") + TOO_MANY, TOO_MANY_KEPT + TOO_MANY)
    assert set(seen) == {"/first"}


def test_clients_behind_a_proxy_have_buckets_of_their_own(serve, raw):
    server = serve(hello, **QUIET, **BURST)
    client = raw(server)
    for i in range(20):
        assert statuses(client, 3, f"X-Forwarded-For: 192.0.2.{i}") == [200] * 3
    assert 429 in statuses(client, 20, "X-Forwarded-For: 192.0.2.0")
    # An IPv6 client has a network of 64 bits.
    assert 429 in [status for i in range(20) for status in statuses(client, 1, f"X-Forwarded-For: 2001:db8::{i}")]
    assert statuses(client, 1, "X-Forwarded-For: 2001:db8:0:1::1") == [200]


def test_what_a_stranger_says_of_its_address_changes_nothing(serve, client_at):
    client = client_at("127.0.0.2", serve(hello, **QUIET, **BURST)).connect()
    seen = [status for i in range(20) for status in statuses(client, 1, f"X-Forwarded-For: 192.0.2.{i}")]
    assert 429 in seen


def test_clients_on_a_unix_socket_are_those_that_the_proxy_names(serve, raw, tmp_path):
    server = serve(hello, **QUIET, **BURST, uds_path=str(tmp_path / "socket"))
    client = raw(server)
    assert statuses(client, 50) == [200] * 50  # nobody is named
    assert 429 in statuses(client, 20, "X-Forwarded-For: 192.0.2.1")
    assert statuses(client, 1, "X-Forwarded-For: 192.0.2.2") == [200]


def test_handshakes_of_websockets_count(serve, raw):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.close"})

    server = serve(app, **QUIET, **BURST)
    seen = [raw(server).send(get("/", *FIELDS)).read_response().status for _ in range(20)]
    assert seen[:3] == [403] * 3 and 429 in seen


def test_random_addresses_harm_nobody(serve, raw):
    """Far more than the table knows. Each is within its rate, and so is the client among them."""
    server = serve(hello, **QUIET, rate_limit_per_sec=1000, rate_limit_burst=1000, max_keepalive_requests=0)
    client, random = raw(server), Random(3)
    for _ in range(200):
        fields = [f"X-Forwarded-For: {IPv4Address(random.getrandbits(32))}" for _ in range(99)]
        client.send(b"".join(get("/", field) for field in ["X-Forwarded-For: 192.0.2.1", *fields]))
        assert {client.read_response().status for _ in range(100)} == {200}

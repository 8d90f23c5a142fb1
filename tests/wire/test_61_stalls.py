"""An app blocks the loop past every timeout: no connection ends because the server could not read it meanwhile."""

import resource
import threading
import time

import pytest

from frames import PING, PONG, TEXT, frame, text
from harness import HANG
from wire_apps import QUIET, answered, get, hello, mirror, post

OFF = {"header_timeout": 0, "keep_alive_timeout": 0, "body_timeout": 0, "write_timeout": 0}
LIMIT = 2.0  # seconds; many clients have to be ready within it
MANY = 600  # more than twice as many as one epoll_wait reports
OK = answered(b"hello")
pytestmark = pytest.mark.no_adversary  # under it, so many clients are not ready in time


@pytest.fixture(autouse=True)
def descriptors():
    """Both ends of that many connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4 * MANY), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Blocking:
    """An app, and a request that blocks its loop for a while."""

    def __init__(self, app):
        self.app, self.blocked = app, threading.Event()

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/block":
            self.blocked.set()
            time.sleep(LIMIT * 1.5)
        await self.app(scope, receive, send)


CASES = {
    "idle": ("keep_alive_timeout", get(), OK, get(), OK),
    "new": ("header_timeout", b"", b"", get(), OK),
    "half a head": ("header_timeout", get()[:9], b"", get()[9:], OK),
    "half a body": ("body_timeout", post(b"he", length=5), b"", b"llo", answered(b"/ hello")),
}


@pytest.mark.parametrize("name", CASES)
def test_many_that_go_on_meanwhile(serve_by, raw, name):
    option, before, first, during, then = CASES[name]
    app = Blocking(mirror if name == "half a body" else hello)
    server = serve_by(app, **QUIET, **{**OFF, option: LIMIT}, max_concurrent_connections=2 * MANY)
    blocker = raw(server).send(get("/block")[:-1])
    clients = [raw(server).send(before) for _ in range(MANY)]
    for client in clients:
        assert client.read_exactly(len(first)) == first
    blocker.send(get()[-1:])
    assert app.blocked.wait(HANG)
    for client in clients:
        client.send(during)
    lost = 0
    for client in clients:
        try:
            assert client.read_exactly(len(then)) == then
        except (EOFError, ConnectionError):
            lost += 1
    assert lost == 0


def test_websockets_that_answer_every_ping(serve_by, meet):
    """No Ping is sent during the stall, so that silence means nothing."""
    interval = 0.5

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message["text"] == "block":
                time.sleep(3 * interval)
            await send({"type": "websocket.send", "text": message["text"]})

    def next_of(peer, opcode):
        while (one := peer.read_frame()).opcode != opcode:
            assert one.opcode == PING
            peer.send(frame(PONG, one.payload))
        return one

    server = serve_by(app, **QUIET, ws_keepalive_timeout=interval)
    blocker, *peers = [meet(server) for _ in range(20)]
    for _ in range(3):
        blocker.send(text("block"))
        next_of(blocker, TEXT)
        for peer in peers:
            peer.send(frame(PONG, next_of(peer, PING).payload))
    for peer in peers:
        peer.send(text("there"))
        assert next_of(peer, TEXT).payload == b"there"

"""Any operation in any order, also nested: nothing crashes, hangs or leaks."""

import gc
import random
import sys

import pytest

from bare import GET, Bare, Done, post, step
from saltare._core import live

SEEDS = 30
ACTS = 600
EXPECTED = (RuntimeError, ValueError, TypeError, OSError, EOFError)
BYTES = [
    GET,
    GET.replace(b"GET", b"HEAD"),
    GET * 5,
    post(b"abc"),
    post(b"ab", length=5),
    post(length=4).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
    b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"cde",
    b"GET / HTTP/1.1\r\nHost:",
    b" test\r\n\r\n",
    b"\xff\r\n\r\n",
]
BODIES = [b"", b"ok", bytes(5000), bytes(100_000), bytearray(9000), memoryview(b"xx"), None]


class Monkey:
    """Acts on a bare core as peers, app and loop; objects it passes act in turn when they are read."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        choose = self.random.choice
        self.bare = Bare(guest=choose([0, 1]), max_request_body=choose([0, 100, 100_000]), debug=choose([0, 1]))
        self.bare.core.dispatch = self.dispatched
        self.exchanges, self.awaitables, self.peers = [], [], []
        self.depth, self.waiting, self.ended = 0, 0, False
        self.acts = [self.connect, *[self.say] * 4, self.leave, self.read, *[self.receive] * 2, *[self.start] * 2]
        self.acts += [*[self.piece] * 3, self.fail, *[self.step] * 3, self.give_up, *[self.turn] * 4, self.rarely]

    def act(self):
        if self.depth == 3:
            return
        self.depth += 1
        try:
            self.random.choice(self.acts)()
        except EXPECTED:
            pass
        finally:
            self.depth -= 1

    # ---- peers ----

    def connect(self):
        if self.ended or self.waiting > 80 or len(self.peers) > 10:  # nobody accepts, or the backlog is full
            return
        self.waiting += 1
        self.peers.append(self.bare.connect())

    def say(self):
        if self.peers:
            self.random.choice(self.peers).socket._socket.send(self.random.choice(BYTES))

    def read(self):
        if self.peers:
            self.random.choice(self.peers).socket._socket.recv(self.random.choice([10, 100_000]))

    def leave(self):
        if self.peers:
            self.peers.pop(self.random.randrange(len(self.peers))).close()

    # ---- the app ----

    def dispatched(self, exchange, scope):
        self.exchanges = [*self.exchanges[-20:], exchange]
        self.act()
        if self.random.random() < 0.02:
            raise ValueError

    def __bool__(self):
        self.act()
        return self.random.random() < 0.5

    def headers(self):
        self.act()
        yield b"content-type", b"text/plain"
        self.act()

    def receive(self):
        if self.exchanges:
            self.awaitables = [*self.awaitables[-30:], self.random.choice(self.exchanges).receive()]

    def send(self, **message):
        if self.exchanges:
            self.awaitables = [*self.awaitables[-30:], self.random.choice(self.exchanges).send(message)]

    def start(self):
        length = [(b"content-length", b"%d" % self.random.choice([0, 2, 100_000]))]
        headers = self.random.choice([[], length, None, [(b"a", b"\0")], self.headers()])
        self.send(type="http.response.start", status=self.random.choice([200, 204, 304, 999]), headers=headers)

    def piece(self):
        more = self.random.choice([True, True, False, self])
        self.send(type="http.response.body", body=self.random.choice(BODIES), more_body=more)

    def fail(self):
        if self.exchanges:
            self.random.choice(self.exchanges).fail()

    # ---- the loop ----

    def step(self):
        if not self.awaitables:
            return
        one = self.random.choice(self.awaitables)
        future = step(one)
        if not isinstance(future, Done):
            future._asyncio_future_blocking = False

    def give_up(self):
        if self.awaitables:
            one = self.awaitables.pop(self.random.randrange(len(self.awaitables)))
            self.random.choice([one.close, lambda: one.throw(ValueError), lambda: None])()

    def turn(self):
        self.bare.core.poll(0)
        self.waiting = 0

    def rarely(self):
        core = self.bare.core
        acts = [gc.collect, core.stats, live, self.exchanges.clear, lambda: setattr(core, "wake", self.act)]
        self.random.choice(acts)()
        if self.random.random() < 0.02:
            self.ended = True
            self.random.choice([core.drain, core.close])()

    def close(self):
        del self.bare.core.wake
        self.bare.close()
        self.__dict__.clear()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_order(seed, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda error: None)
    monkey = Monkey(seed)
    for _ in range(ACTS):
        monkey.act()
    monkey.close()
    gc.collect()
    assert not any(live().values()), live()

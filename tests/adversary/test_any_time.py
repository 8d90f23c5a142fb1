"""Any operation in any order, within any allocation or destructor: nothing crashes, hangs or leaks."""

import gc
import socket
import sys

import pytest

import test_random
from adversary import Adversary
from frames import BINARY, close, frame, text
from saltare._core import live
from test_random import Monkey
from test_websocket import SHAKE

SEEDS = 15
ACTS = 500
FRAMES = [text("é" * 10), text("x" * 5000), frame(BINARY, b"b", fin=0), frame(BINARY, bytes(10_000)), close(1000)]
MESSAGES = [
    {"type": "websocket.accept", "subprotocol": "a"},
    {"type": "websocket.accept", "subprotocol": "z"},
    {"type": "websocket.accept", "headers": [(b"a", b"b")]},
    {"type": "websocket.send", "text": "x"},
    {"type": "websocket.send", "bytes": bytes(9000)},
    {"type": "websocket.send", "text": "x" * 9000},
    {"type": "websocket.close"},
    {"type": "websocket.close", "code": 3000, "reason": "why"},
    {"type": "websocket.http.response.start", "status": 401, "headers": []},
    {"type": "websocket.http.response.body", "body": b"no"},
]


class Everywhere(Monkey):
    """With WebSockets, descriptors, and changes to objects found inside those of the bridge."""

    def __init__(self, seed):
        super().__init__(seed)
        self.pairs = [socket.socketpair() for _ in range(3)]
        self.acts += [*[self.speak] * 4, *[self.shake] * 2, self.watch, self.unwatch, self.empty, self.replace]

    def shake(self):
        if self.peers:
            self.random.choice(self.peers).socket._socket.send(SHAKE)

    def speak(self):
        if self.peers and self.random.random() < 0.5:
            self.random.choice(self.peers).socket._socket.send(self.random.choice(FRAMES))
        message = {**self.random.choice(MESSAGES)}
        if "headers" in message:
            message["headers"] = self.headers()
        self.send(**message)

    def watch(self):
        one, other = self.random.choice(self.pairs)
        self.bare.core.watch(one.fileno(), self.random.choice([1, 2, 3]), bytearray(10))
        other.send(b"x")

    def unwatch(self):
        self.bare.core.unwatch(self.random.choice(self.pairs)[0].fileno())

    def empty(self):
        for one in gc.get_referents(self.random.choice(self.exchanges)):
            if type(one) is list:
                self.random.choice([one.clear, one.reverse, lambda one=one: one.append(None)])()

    def replace(self):
        core = self.bare.core
        core.state = dict.fromkeys(range(self.random.choice([0, 1, 100])))
        core.create_future = core.create_future.__self__.create_future

    def close(self):
        for pair in self.pairs:
            for one in pair:
                one.close()
        super().close()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_order_at_any_time(seed, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda error: None)
    monkeypatch.setattr(test_random, "EXPECTED", (Exception,))
    monkey = Everywhere(seed)
    with Adversary(monkey.act) as adversary:
        for _ in range(ACTS):
            monkey.act()
    assert adversary.springs > 100
    monkey.close()
    gc.collect()
    assert not any(live().values()), live()

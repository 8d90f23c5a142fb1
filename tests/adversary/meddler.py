"""What a finalizer may do to a live server: harmless actions that no test notices, and harmful ones."""

import contextlib
import gc
import random
import socket

from adversary import Adversary

KINDS = ("Core", "Exchange", "WebSocket", "Awaitable", "Run", "Starter")


def alive():
    """Live objects of the bridge, by type name."""
    found = {kind: [] for kind in KINDS}
    for one in gc.get_objects():
        if type(one).__module__ == "saltare._core":
            found[type(one).__name__].append(one)
    return found


class Meddler:
    """`act()` does one random thing to one live object.

    Harmless actions: read, replace hooks by equal ones and the state by a copy, start a receive and cancel it, send
    a message that is rejected, and use memory that was just freed.
    """

    def __init__(self, seed=0):
        self.random = random.Random(seed)
        self.acts = [self.begin, self.refused, self.hooks, self.reader, self.memory, self.look]
        self.pair = socket.socketpair()

    def act(self):
        self.alive = alive()
        try:
            self.random.choice(self.acts)()
        finally:
            del self.alive

    def close(self):
        for one in self.pair:
            one.close()

    def any(self, *kinds):
        return self.random.choice([one for kind in kinds for one in self.alive[kind]])

    def begin(self):
        awaitable = self.any("Exchange", "WebSocket").receive()
        self.random.choice([awaitable.close, lambda: awaitable.throw(ValueError), lambda: None])()

    def refused(self):
        sent = self.any("Exchange", "WebSocket").send({"type": "nothing", "headers": [(b"a", b"b")]})
        sent.close()  # in a thread other than the loop's: nobody will await it

    def hooks(self):
        core = self.any("Core")
        for name in ("log", "create_future", "wake", "elsewhere"):
            hook = getattr(core, name)
            if hasattr(hook, "__func__"):
                setattr(core, name, hook.__func__.__get__(hook.__self__))
        if isinstance(core.state, dict):
            core.state = dict(core.state)

    def reader(self):
        core, fd = self.any("Core"), self.pair[0].fileno()
        core.watch(fd, 1, bytearray(10))
        core.watch(fd, 1, bytearray(20))
        core.unwatch(fd)

    def memory(self):
        for size in (1, 2, 3, 10):
            [[None] * size, tuple(range(size)), dict.fromkeys(range(size)), bytes(100 * size)]

    def look(self):
        one = self.any(*KINDS)
        for name in dir(one):
            getattr(one, name)
        for other in gc.get_referents(one):
            repr(other)[:100]


START = {"type": "http.response.start", "status": 200, "headers": [(b"x-finalizer", b"yes")]}
MESSAGES = [
    START,
    {"type": "http.response.body", "body": b"finalizer"},
    {"type": "http.response.body", "body": bytes(100_000), "more_body": True},
    {"type": "websocket.accept"},
    {"type": "websocket.send", "text": "finalizer"},
    {"type": "websocket.send", "bytes": bytes(100_000)},
    {"type": "websocket.close", "code": 3000},
]


class Vandal(Meddler):
    """Harmful actions too: send, receive, fail, cancel, step, empty lists, and drop tasks of others."""

    def __init__(self, seed=0):
        super().__init__(seed)
        self.acts += [self.send, self.receive, self.fail, self.cancel, self.step, self.empty, self.close, self.drop]

    def send(self):
        self.any("Exchange", "WebSocket").send(self.random.choice(MESSAGES)).send(None)

    def receive(self):
        self.any("Exchange", "WebSocket").receive().send(None)

    def fail(self):
        self.any("Exchange", "WebSocket").fail()

    def cancel(self):
        tasks = self.any("Starter").tasks
        self.random.choice(list(tasks.values())).cancel()

    def step(self):
        one = self.any("Run", "Awaitable")
        self.random.choice([lambda: one.send(None), lambda: one.throw(ValueError), one.close])()

    def empty(self):
        for one in gc.get_referents(self.any("Exchange", "WebSocket", "Awaitable")):
            if type(one) is list:
                self.random.choice([one.clear, one.reverse, lambda one=one: one.append(None)])()

    def close(self):
        core = self.any("Core")
        self.random.choice([core.poll, core.close])()  # refused within a turn

    def drop(self):
        self.any("Starter").tasks.clear()


@contextlib.contextmanager
def meddling():
    """Run a harmless meddler whenever the collector runs, on objects created from now on."""
    gc.collect()
    gc.freeze()  # so that listing live objects is quick
    meddler = Meddler()
    try:
        with Adversary(meddler.act):
            yield meddler
    finally:
        gc.unfreeze()
        meddler.close()

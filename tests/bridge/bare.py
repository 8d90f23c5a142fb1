"""A core without a server around it: the test dispatches, steps awaitables, and decides when to take a turn."""

import asyncio
import socket
import threading
import time

from harness import HANG
from rawsocket import Raw

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"ok"}
SCOPE = dict.fromkeys(("type", "http_version", "server", "client", "method", "path", "raw_path", "query_string"))


def post(body=b"", length=None):
    length = len(body) if length is None else length
    return b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%b" % (length, body)


def new_core(**options):
    from saltare._core import Core

    return Core(options=options, scope=SCOPE, root_path="")


class Bare:
    """`core`, its `exchanges` in order of arrival, and the `lines` it logged. `loop` makes futures and is closed."""

    def __init__(self, **options):
        self.loop = asyncio.new_event_loop()
        self.loop.close()
        self.core = new_core(**options)
        self.core.create_future = self.loop.create_future
        self.core.dispatch = self.dispatched
        self.core.log = self.logged
        self.exchanges, self.scopes, self.lines, self.peers = [], [], [], []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.core.listen([(self.listener.fileno(), False, ("127.0.0.1", self.port))])

    def dispatched(self, exchange, scope):
        self.exchanges.append(exchange)
        self.scopes.append(scope)

    def logged(self, level, line):
        self.lines.append(line)

    def until(self, condition):
        """Takes turns until the condition holds."""
        deadline = time.monotonic() + HANG
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            self.core.poll(0.01)

    def connect(self):
        peer = Raw(self.port)
        peer.socket = Turning(peer.socket, self.core)
        self.peers.append(peer)
        return peer

    def ask(self, request=GET):
        """A new peer that has sent the request, and its exchange once the core has dispatched it."""
        peer, n = self.connect().send(request), len(self.exchanges)
        self.until(lambda: len(self.exchanges) > n)
        return peer, self.exchanges[n]

    def answer(self, exchange):
        exchange.send(START)
        exchange.send(BODY)

    def close(self):
        for peer in self.peers:
            peer.close()
        self.core.close()
        self.listener.close()
        self.__dict__.clear()  # pytest keeps a reference to us for a while


class Turning:
    """A peer's socket in the core's thread: where it would block, the core takes a turn instead."""

    def __init__(self, sock, core):
        self._socket, self._core = sock, core
        sock.setblocking(False)

    def _patiently(self, call, argument):
        deadline = time.monotonic() + HANG
        while True:
            try:
                return call(argument)
            except BlockingIOError:
                assert time.monotonic() < deadline, "the core does not go on"
                self._core.poll(0.01)

    def recv(self, size):
        return self._patiently(self._socket.recv, size)

    def sendall(self, data):
        data = memoryview(data)
        while data:
            data = data[self._patiently(self._socket.send, data) :]

    def __getattr__(self, name):
        return getattr(self._socket, name)


def step(awaitable):
    """One step: the future it waits for, or Done with its result."""
    try:
        return awaitable.send(None)
    except StopIteration as stop:
        return Done(stop.value)


class Done:
    def __init__(self, value):
        self.value = value


def result(awaitable):
    """The result of an awaitable that need not wait."""
    done = step(awaitable)
    assert isinstance(done, Done), f"it waits for {done!r}"
    return done.value


def waits(awaitable):
    """The future of an awaitable that has to wait."""
    future = step(awaitable)
    assert not isinstance(future, Done), f"it is done with {future.value!r}"
    future._asyncio_future_blocking = False  # as a task does with the future that it gets
    return future


def in_spite_of(interruption, call):
    while True:
        try:
            return call()
        except interruption:
            pass


class polling:
    """A second thread polls the core continuously while the block runs."""

    def __init__(self, core):
        self.core = core
        self.end, self.seen = socket.socketpair()
        self.thread = threading.Thread(target=self.poll)

    def poll(self):
        key = object()
        self.core.watch(self.seen.fileno(), 1, key)
        while (key, 1) not in in_spite_of(RuntimeError, lambda: self.core.poll(HANG)):
            pass
        self.core.unwatch(self.seen.fileno())

    def __enter__(self):
        self.thread.start()
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            try:
                self.core.poll(0)
            except RuntimeError as error:
                assert "second thread" in str(error)
                return
            time.sleep(0.001)  # outside of poll(), where the other thread may enter it
        raise AssertionError("the other thread does not poll")

    def __exit__(self, *exc):
        self.end.send(b"x")
        self.thread.join(HANG)
        self.end.close(), self.seen.close()
        assert not self.thread.is_alive()

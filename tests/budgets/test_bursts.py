"""The memory a process gains in a burst goes back to the system: after each kind of burst, and after all kinds at once.

It uses Unix sockets, since thousands of TCP connections with full buffers take a GiB of kernel memory. Environment:
BUDGET_BURSTS is the number of bursts, 3 by default; BUDGET_PEERS replaces the number of peers of each burst.
"""

import contextlib
import json
import os
import resource
import time

import pytest
from measure import held

from frames import FIELDS, text
from harness import wait_until
from rawsocket import Raw

BURSTS = int(os.environ.get("BUDGET_BURSTS", "3"))
LEFT = 1024  # KiB of private memory; usually a third of that
PATIENCE = 45  # seconds after the last burst: the core releases after 30, then has Python clean up once more
QUIET = 4  # seconds after which an idle server has cleaned up
BODY = 60_000


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def handshake(path):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *FIELDS, "", ""]).encode()


def live(server):
    with connect(server) as peer:
        return json.loads(peer.get("/live").read_response().body)


def connect(server):
    """Waits for room in the backlog; connect() on a Unix socket with a timeout does not."""
    found = []

    def attempt():
        with contextlib.suppress(BlockingIOError):
            found.append(Raw(server))
        return found

    wait_until(attempt)
    return found[0]


class Burst:
    """Peers of one server that send the same request. `peers`: how many; `reached`: whether the burst is at peak."""

    def __init__(self, server, peers):
        self.server = server
        self.peers = int(os.environ.get("BUDGET_PEERS", peers))

    def run(self):
        peers, before = self.peers, live(self.server)
        with contextlib.ExitStack() as stack:
            raws = [stack.enter_context(connect(self.server)) for _ in range(peers)]
            for raw in raws:
                self.begin(raw)
            wait_until(lambda: self.reached(live(self.server), before, peers), lambda: f"{live(self.server)}")
            self.most = held(self.server.pid)[1]
            self.end(raws)
        wait_until(lambda: live(self.server)["connections"] == 1)

    def end(self, raws):
        """Disconnects the peers."""


class SlowReaders(Burst):
    path = "/pieces"

    def begin(self, raw):
        raw.send(get(self.path))

    def reached(self, now, before, peers):
        return now["queues"] == peers


class SlowReadersOfLargePieces(SlowReaders):
    path = "/large"


class SlowReadersOfMessages(SlowReaders):
    def begin(self, raw):
        raw.send(handshake("/") + text("go on"))


class Waiting(Burst):
    def begin(self, raw):
        raw.send(get("/wait"))

    def reached(self, now, before, peers):
        return now["streams"] == peers + 1

    def end(self, raws):
        for raw in raws:
            assert raw.read_response().body == b"hello"


class Uploads(Burst):
    def begin(self, raw):
        raw.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (BODY + 1))
        for _ in range(6):
            raw.send(bytes(BODY // 6))

    def reached(self, now, before, peers):
        return now["uploaded"] - before["uploaded"] == peers * BODY

    def end(self, raws):
        for raw in raws:
            assert raw.send(b"x").read_response().body == b"hello"


KINDS = {
    SlowReaders: 500,
    SlowReadersOfLargePieces: 500,
    SlowReadersOfMessages: 100,
    Waiting: 2000,
    Uploads: 1000,
}


def enough_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"only {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


@pytest.mark.slow
def test_bursts_leave_nothing(cli_server, tmp_path):
    enough_descriptors(3000)
    bursts = {}
    options = ("--lifespan", "off", "--max-concurrent-connections", 2500, "--write-timeout", 0, "--body-timeout", 0)
    for kind, peers in KINDS.items():
        uds = tmp_path / kind.__name__
        server = cli_server("app_bursts:app", "--uds", uds, *options)
        bursts[kind.__name__] = kind(server, peers)
    for burst in bursts.values():
        for _ in range(20):
            live(burst.server)
    time.sleep(QUIET)
    before = {name: held(burst.server.pid)[1] for name, burst in bursts.items()}
    for _ in range(BURSTS):
        for burst in bursts.values():
            burst.run()

    def left():
        return {name: held(burst.server.pid)[1] - before[name] for name, burst in bursts.items()}

    deadline = time.monotonic() + PATIENCE

    def too_much():
        return {name: kib for name, kib in left().items() if kib > LEFT}

    while too_much() and time.monotonic() < deadline:
        time.sleep(1)
    grown = {name: burst.most - before[name] for name, burst in bursts.items()}
    print(f"KiB at most {grown}, left {left()}")
    assert all(kib > LEFT for name, kib in grown.items()), f"those were no bursts: {grown} KiB"
    assert not too_much(), f"{left()} KiB left of {grown}"

"""Workload: the cost of an idle kept-alive connection that has had one response."""

import resource
import time
from contextlib import ExitStack

import client
from figures import Column
from process import Process

TITLE = "Idle keep-alive connections"
STEADY = True
BATCH = 50  # connections asking at the same time; fits every server's backlog
WARM_UP_BATCHES = 10
COUNTS = {"500": 500, "5000": 5000, "most": 20000}
SPARE = 500  # descriptors that are not connections
TITLES = {"500": "500", "5000": "5,000", "most": "most"}
TABLES = [
    ("RSS, bytes per connection", [Column(f"rss_{name}", title, "count", True) for name, title in TITLES.items()]),
    (
        "private memory, bytes per connection",
        [Column(f"private_{name}", title, "count") for name, title in TITLES.items()]
        + [Column("held", "the most that were held", "count")],
    ),
]


def measure(server, settings):
    """Opens and closes a few connections first, so that the difference has no one-time costs.

    Few at a time: records that a server keeps for later connections would be missing from the difference.
    """
    found = {}
    with Process(server, "raw", settings, many=True) as process:
        for _ in range(WARM_UP_BATCHES):
            with ExitStack() as stack:
                hold(stack, process.port, BATCH)
        time.sleep(settings.settle)
        before = process.memory()
        with ExitStack() as stack:
            peers = []
            for name, count in list(COUNTS.items())[: settings.counts]:
                count = min(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE)
                peers += hold(stack, process.port, count - len(peers))
                time.sleep(settings.settle)
                after = process.memory()
                held = sum(not client.gone(peer) for peer in peers)
                found |= {f"{kind}_{name}": (after[kind] - before[kind]) / held for kind in ("rss", "private")}
    return found | {"held": held}


def hold(stack, port, count):
    """Open `count` connections on which one request has been answered."""
    peers = []
    while len(peers) < count:
        batch = [stack.enter_context(client.connect(port)) for _ in range(BATCH)]
        for peer in batch:
            client.send(peer)
        for peer in batch:
            client.receive(peer)
        peers += batch
    return peers

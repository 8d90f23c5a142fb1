"""Workload: what a kept-alive connection costs that has been answered once and is idle. Per process."""

import time
from contextlib import ExitStack

import client
from figures import Column
from process import Process

TITLE = "Idle keep-alive connections"
STEADY = True
BATCH = 50  # connections asking at the same time; fits every server's backlog
WARM_UP_BATCHES = 10
TABLES = [
    (
        "bytes per connection",
        [
            Column("rss", "RSS", "count", True),
            Column("private", "private", "count", True),
            Column("held", "connections held", "count"),
        ],
    )
]


def measure(server, settings):
    """A few connections come and go first, so that what every server pays once is not in the difference.

    Few at a time: records that a server keeps for the next ones would be missing from the difference.
    """
    with Process(server, "raw", settings, many=True) as process:
        for _ in range(WARM_UP_BATCHES):
            with ExitStack() as stack:
                hold(stack, process.port, BATCH)
        time.sleep(settings.settle)
        before = process.memory()
        with ExitStack() as stack:
            peers = hold(stack, process.port, settings.held)
            time.sleep(settings.settle)
            after = process.memory()
            held = sum(not client.gone(peer) for peer in peers)
    return {
        "rss": (after["rss"] - before["rss"]) / held,
        "private": (after["private"] - before["private"]) / held,
        "held": held,
    }


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

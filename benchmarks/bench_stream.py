"""Workload: answers of unknown length that the app sends in 100 pieces of 1 KiB. Per process."""

import client
import load
from process import Process, StartError

TITLE = "Streams of 100 pieces, raw ASGI app"
STEADY = False
LEVELS = (64,)
TABLES = load.tables(LEVELS)


def measure(server, settings):
    with Process(server, "raw", settings) as process:
        with client.connect(process.port) as peer:
            if client.ask(peer, "/stream") != bytes(100 << 10):
                raise StartError("the pieces are other ones")
        return load.measure_levels(process, settings._replace(levels=LEVELS), path="/stream")

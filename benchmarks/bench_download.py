"""Workload: answers of 1 MiB that the app sends in one piece. Per process."""

import client
import load
from process import Process, StartError

TITLE = "Answers of 1 MiB, raw ASGI app"
STEADY = False
LEVELS = (8,)
TABLES = load.tables(LEVELS)


def measure(server, settings):
    with Process(server, "raw", settings) as process:
        with client.connect(process.port) as peer:
            if client.ask(peer, "/large") != bytes(1 << 20):
                raise StartError("the body is another one")
        return load.measure_levels(process, settings._replace(levels=LEVELS), path="/large")

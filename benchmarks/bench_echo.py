"""Workload: a POST of 10 KB that the raw app reads and sends back. Per process."""

import client
import load
from process import Process, StartError

TITLE = "Echo of a 10 KB body, raw ASGI app"
STEADY = False
BODY_BYTES = 10_000
LEVELS = (64,)
TABLES = load.tables(LEVELS)


def measure(server, settings):
    with Process(server, "raw", settings) as process:
        check(process)
        return load.measure_levels(process, settings._replace(levels=LEVELS), path="/echo", body_bytes=BODY_BYTES)


def check(process):
    """A wrong answer would still count as a request for wrk."""
    body = bytes(range(250)) * (BODY_BYTES // 250)
    with client.connect(process.port) as peer:
        if client.ask(peer, "/echo", body) != body:
            raise StartError("the body came back changed")

"""Workload: bodies of 1 MiB that the app reads piece by piece; it answers how many bytes they had. Per process."""

import client
import load
from process import Process, StartError

TITLE = "Uploads of 1 MiB, raw ASGI app"
STEADY = False
BODY_BYTES = 1 << 20
LEVELS = (8,)
TABLES = load.tables(LEVELS)


def measure(server, settings):
    with Process(server, "raw", settings) as process:
        with client.connect(process.port) as peer:
            if client.ask(peer, "/length", bytes(BODY_BYTES)) != b"%d" % BODY_BYTES:
                raise StartError("the body had another length")
        return load.measure_levels(process, settings._replace(levels=LEVELS), path="/length", body_bytes=BODY_BYTES)

"""Workload: a plain ASGI app that answers 13 bytes, to measure the server itself."""

import load
from process import Process

TITLE = "Raw ASGI app"
STEADY = False
TABLES = load.tables()


def measure(server, settings):
    with Process(server, "raw", settings) as process:
        return load.measure_levels(process, settings)

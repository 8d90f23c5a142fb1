"""Workload: responses of unknown length that the app sends in 100 pieces of 1 KiB."""

import load

TITLE = "Streams of 100 pieces, raw ASGI app"
STEADY = False
LEVELS = (64,)
TABLES = load.tables(LEVELS)


def measure(server, settings):
    return load.measure_answer(server, settings, LEVELS, "/stream", bytes(100 << 10))

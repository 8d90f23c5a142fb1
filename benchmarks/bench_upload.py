"""Workload: bodies of 1 MiB that the app reads piece by piece; it answers with their length."""

import load

TITLE = "Uploads of 1 MiB, raw ASGI app"
STEADY = False
LEVELS = (8,)
TABLES = load.tables(LEVELS)


def measure(server, settings):
    return load.measure_answer(server, settings, LEVELS, "/length", b"%d" % (1 << 20), bytes(1 << 20))

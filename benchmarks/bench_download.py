"""Workload: responses of 1 MiB that the app sends in one piece."""

import load

TITLE = "Answers of 1 MiB, raw ASGI app"
STEADY = False
LEVELS = (8,)
TABLES = load.tables(LEVELS)


def measure(server, settings):
    return load.measure_answer(server, settings, LEVELS, "/large", bytes(1 << 20))

"""Workload: a POST of 10 KB that the raw app reads and sends back."""

import load

TITLE = "Echo of a 10 KB body, raw ASGI app"
STEADY = False
BODY = bytes(range(250)) * 40
LEVELS = (64,)
TABLES = load.tables(LEVELS)


def measure(server, settings):
    return load.measure_answer(server, settings, LEVELS, "/echo", BODY, BODY)

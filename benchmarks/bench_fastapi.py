"""Workload: FastAPI answering a small JSON object, as most users run it."""

import load
from process import Process

TITLE = "FastAPI, JSON"
STEADY = False
TABLES = load.tables()


def measure(server, settings):
    with Process(server, "fast", settings) as process:
        return load.measure_levels(process, settings)

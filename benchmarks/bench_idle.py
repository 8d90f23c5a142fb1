"""Workload: memory of a server that has started, answered one request and is idle."""

import time

from figures import Column
from process import Process

TITLE = "Memory when idle"
STEADY = True
CAPTIONS = {"raw": "raw ASGI app, MiB", "fast": "FastAPI, MiB"}
TABLES = [
    (
        caption,
        [
            Column(f"{app}_rss", "RSS", "mib", True),
            Column(f"{app}_private", "private", "mib", True),
            Column(f"{app}_pss", "Pss", "mib"),
            Column(f"{app}_processes", "processes", "count"),
        ],
    )
    for app, caption in CAPTIONS.items()
]


def measure(server, settings):
    found = {}
    for app in server.apps:
        with Process(server, app, settings) as process:
            time.sleep(settings.settle)
            figures = process.memory() | {"processes": len(process.pids())}
        found |= {f"{app}_{name}": value for name, value in figures.items()}
    return found

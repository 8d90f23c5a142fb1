"""Workload: memory of four workers and their master, idle and after load."""

import time

import load
from figures import Column
from process import Process

TITLE = "Four workers"
STEADY = True
WORKERS = 4
TABLES = [
    (
        "FastAPI, all processes together, MiB",
        [
            Column("pss", "Pss, idle", "mib", True),
            Column("used_pss", "Pss, after load", "mib", True),
            Column("worker", "private, each worker", "mib", True),
            Column("used_worker", "after load", "mib"),
            Column("processes", "processes", "count"),
        ],
    )
]


def measure(server, settings):
    with Process(server, "fast", settings, four=True) as process:
        time.sleep(settings.settle)
        found = weighed(process) | {"processes": len(process.pids())}
        load.wrk(f"http://127.0.0.1:{process.port}/", 64, settings.seconds, 0)
        time.sleep(settings.settle)
        return found | {f"used_{name}": value for name, value in weighed(process).items()}


def weighed(process):
    """Pss of all processes, and the workers' average private memory; workers have more than the master."""
    return {"pss": process.memory()["pss"], "worker": sum(process.private()[:WORKERS]) / WORKERS}

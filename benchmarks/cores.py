"""The two cores of a run: what is pinned where, and how much of them other processes used."""

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def pinned(core):
    """The prefix of a server's command: pins it to its core, and kills it when the benchmark ends, even by a kill."""
    return ["setpriv", "--pdeathsig", "KILL", "taskset", "--cpu-list", str(core)]


def busy_seconds(core):
    """Time since boot that the core was not idle, including the time of the machine's other guests."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, ticks[:8])
            return (user + nice + system + irq + softirq + steal) / TICKS
    raise LookupError(f"no core {core}")


class Meter:
    """Seconds of CPU that a server and the load generator use between `with` and its end."""

    def __init__(self, process, settings):
        self.process, self.settings = process, settings

    def __enter__(self):
        self.began = self.read()
        return self

    def __exit__(self, *_):
        wall, server, load, server_core, load_core = (
            now - then for now, then in zip(self.read(), self.began, strict=True)
        )
        self.server = server
        self.foreign = max(server_core - server, load_core - load, 0) / wall

    def read(self):
        children = os.times()
        return (
            time.monotonic(),
            self.process.cpu_seconds(),
            children.children_user + children.children_system,
            busy_seconds(self.settings.server_core),
            busy_seconds(self.settings.load_core),
        )

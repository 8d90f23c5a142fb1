"""One line of figures about a process, for people who look for the cause of a problem. Imported at SIGUSR1."""

import os
import time

from .. import log
from ..cpython import json_string

PAGE = os.sysconf("SC_PAGE_SIZE")


def write(server):
    """To stderr, as a line of JSON, whatever the options of logs say."""
    log.write(as_json(figures(server)) + "\n")


def figures(server):
    core, stats = server.core, server.core.stats()
    refused = {cause: count for cause, count in core.refusals().items() if count}
    now = time.time()
    return {
        "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03}Z",
        "message": "figures",
        "pid": os.getpid(),
        "worker": server.number,
        "draining": server.stopping(),
        "open_connections": stats["connections"],
        "connections": core.phases(),
        "in_flight_requests": stats["streams"],
        "requests": stats["requests"],
        "accepted": stats["accepted"],
        "refused": stats["refused"],
        "refusals": refused,
        "read_buffers": stats["buffers"],
        "unsent_bytes": stats["unsent"],
        "panics": stats["panics"],
        "resident_bytes": resident(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def as_json(value):
    """Of what `figures` has. The module json would stay in memory."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_string(name)}:{as_json(one)}" for name, one in value.items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json_string(value) if isinstance(value, str) else str(value)

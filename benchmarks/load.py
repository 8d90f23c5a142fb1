"""Load by wrk, and its cost to the server: requests per second, CPU, latency, peak memory."""

import json
import subprocess

import client
from cores import Meter
from figures import DISTURBED, Column
from process import Process, StartError
from servers import APPS

EVERY_LEVEL = (1, 64, 256)


def measure(process, connections, settings, **what):
    """One level of load, retried while others disturb it; the least disturbed try counts."""
    tries = []
    while len(tries) < settings.tries and all(foreign > DISTURBED for foreign, _ in tries):
        tries.append(measure_once(process, connections, settings, **what))
    return min(tries, key=lambda attempt: attempt[0])[1]


def measure_once(process, connections, settings, path="/", body_bytes=0):
    """The share of a core that others used meanwhile, and figures whose keys end in the number of connections."""
    target = f"http://127.0.0.1:{process.port}{path}"
    wrk(target, connections, settings.warm_up, body_bytes)
    with Meter(process, settings) as meter:
        answer = wrk(target, connections, settings.seconds, body_bytes)
    requests = max(answer["requests"], 1)
    return meter.foreign, {
        f"rps_{connections}": answer["requests"] * 1e6 / answer["microseconds"],
        f"cpu_{connections}": meter.server * 1e6 / requests,
        f"p50_{connections}": answer["p50"],
        f"p99_{connections}": answer["p99"],
        f"errors_{connections}": answer["errors"] + answer["refused"],
        f"foreign_{connections}": meter.foreign,
    }


def measure_levels(process, settings, **what):
    """Every level in turn on one process, and the highest RSS it reached meanwhile."""
    process.forget_peak()
    found = {}
    for connections in settings.levels:
        found |= measure(process, connections, settings, **what)
    return found | {"peak": process.peak()}


def measure_answer(server, settings, levels, path, answer, body=b""):
    """The levels on a path of the raw app. Checks its response first, since wrk counts wrong ones as well."""
    with Process(server, "raw", settings) as process:
        with client.connect(process.port) as peer:
            if client.ask(peer, path, body) != answer:
                raise StartError(f"{path} is answered with something else")
        return measure_levels(process, settings._replace(levels=levels), path=path, body_bytes=len(body))


def wrk(target, connections, seconds, body_bytes):
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    words += ["-s", str(APPS / "wrk.lua"), target]
    words += ["--", str(body_bytes)] if body_bytes else []
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def tables(levels=EVERY_LEVEL):
    """(caption, columns) of a workload that measures these levels."""
    return [
        ("requests per second", [Column(f"rps_{n}", f"{n} conn.", "count", True) for n in levels]),
        (
            "cost",
            [Column(f"cpu_{n}", f"CPU us/request, {n} conn.", "tenths") for n in levels]
            + [Column("peak", "peak RSS, MiB", "mib")],
        ),
        (
            "latency, us",
            [Column(f"{p}_{n}", f"{p}, {n} conn.", "count") for n in levels for p in ("p50", "p99")],
        ),
    ]

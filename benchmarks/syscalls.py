"""System calls of a server: with idle connections, and per request of a busy connection."""

import argparse
import contextlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import bench_connections
import client
import run
from process import Process
from servers import SERVERS, InstallError, install

CONNECTIONS = 100
LINE = re.compile(r"\d+ +([\d.]+) (\w+)\(")  # a call that was resumed has no name and "(" here


def main():
    options = arguments()
    if not shutil.which("strace"):
        sys.exit("strace is not on the PATH: apt-get install strace")
    settings = run.Settings(bins={})
    with run.only_run(options.cache):
        for name in options.servers:
            try:
                count(SERVERS[name], settings, options)
            except (InstallError, *run.FAILURES) as error:
                print(f"{name}: {error}")


def count(server, settings, options):
    settings.bins[server.name], _ = install(server, options.python, options.cache)
    with Process(server, "raw", settings, many=True) as process:
        show(f"{server.name}: {options.idle} s with {CONNECTIONS} idle connections", idle(process, options))
        title = f"{server.name}: per request, {options.requests} one after another"
        show(title, requests(process, options), options.requests)


def arguments():
    parser = argparse.ArgumentParser(description="Count a server's system calls.")
    served = [name for name, server in SERVERS.items() if "raw" in server.workloads]
    parser.add_argument("servers", nargs="*", default=["saltare"], metavar="SERVER", help=",".join(served))
    parser.add_argument("--requests", type=run.positive, default=1000)
    parser.add_argument("--idle", type=run.positive, default=3, help="seconds")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cache", type=Path, default=run.CACHE)
    options = parser.parse_args()
    for name in options.servers:
        if name not in served:
            parser.error(f"{name!r} is not one of {', '.join(served)}")
    return options


def idle(process, options):
    with ExitStack() as stack:
        bench_connections.hold(stack, process.port, CONNECTIONS)
        time.sleep(process.settings.settle)
        with traced(process) as calls:
            time.sleep(options.idle)
    return calls


def requests(process, options):
    with client.connect(process.port) as peer:
        client.ask(peer)
        with traced(process) as calls:
            for _ in range(options.requests):
                client.ask(peer)
    return calls


@contextlib.contextmanager
def traced(process):
    """A Counter that holds, after the block, the server's calls during it, without those of attaching or detaching."""
    calls = Counter()
    with tempfile.NamedTemporaryFile("r") as trace:
        words = ["strace", "-f", "-ttt", "-s", "0", "-o", trace.name]
        for pid in process.pids():
            words += ["-p", str(pid)]
        strace = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            began = time.time()
            yield calls
            ended = time.time()
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait()
        for line in trace:
            found = LINE.match(line)
            if found and began <= float(found[1]) <= ended:
                calls[found[2]] += 1


def show(title, calls, divisor=1):
    parts = [f"{name} {count / divisor:.4g}" for name, count in calls.most_common()]
    print(f"{title}: {sum(calls.values()) / divisor:.4g} calls ({', '.join(parts) or 'none'})")


if __name__ == "__main__":
    main()

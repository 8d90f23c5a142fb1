"""How long do the server's own passes block the loop, in bursts and pauses with a large heap?

No request of the pauses reaches Python: each probe is a head that the core rejects in the loop's thread, so its
duration is how long the loop was busy. It is measured by the clock, and by the CPU time of that thread, which excludes
other work on the machine. Runs with and without the passes alternate.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
BURST, PAUSE = 40, 6.0  # requests; seconds: past the quiet period after which passes run
EVERY = 0.002  # seconds between probes
PASSES = "collection,trimming,freed-pools,start-up-pages,shared-heap,malloc-settings"
GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
REFUSED = b"?\r\n\r\n"


def main():
    options = arguments()
    ways = {"with": [], "without": ["--memory-without", PASSES]}
    stalls = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, words in ways.items():
            stalls[name] += measured(options, [*options.words, *words])
    for name, found in stalls.items():
        print(f"{name} the passes, {len(found)} probes, ms at 50 %, 99 %, 99.9 % and most:")
        for what, figures in zip(("clock", "CPU"), zip(*found, strict=True), strict=True):
            figures = sorted(figures)
            shares = [figures[int(share * (len(figures) - 1))] for share in (0.5, 0.99, 0.999, 1)]
            print(f"  {what:<6}" + ", ".join(f"{1000 * share:.1f}" for share in shares))


def arguments():
    parser = argparse.ArgumentParser(description="Measure how long the server's own passes keep the loop.")
    parser.add_argument("--seconds", type=float, default=300, help="for each of the two, in each round (default 300)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--heap", type=int, default=500, help="MiB (default 500)")
    parser.add_argument("--since", choices=("import", "request"), default="import", help="when the heap is made")
    parser.add_argument("words", nargs="*", help="options of the server, behind --")
    return parser.parse_args()


def measured(options, words):
    """Seconds that each probe took, and seconds of CPU meanwhile."""
    environment = {**os.environ, "HEAP_MIB": str(options.heap), "HEAP_SINCE": options.since}
    command = [sys.executable, "-m", "saltare", "heap:app", "--app-dir", str(HERE / "apps"), "--port", "0", *words]
    with tempfile.TemporaryFile("w+") as log:
        popen = subprocess.Popen(command, env=environment, stderr=log)
        try:
            port = port_of(popen, log)
            return probes(port, loop_of(popen.pid), time.monotonic() + options.seconds)
        finally:
            popen.terminate()
            popen.wait()


def port_of(popen, log):
    while True:
        time.sleep(0.1)
        log.seek(0)
        text = log.read()
        if found := re.search(r"listening on http://[^ ]*:(\d+)", text):
            return int(found[1])
        if popen.poll() is not None:
            raise SystemExit(text)


def loop_of(pid):
    """The schedstat file of the loop's thread: in the only worker, if there is a master."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return Path(f"/proc/{(children or [pid])[0]}/schedstat")


def cpu(loop):
    return int(loop.read_text().split()[0]) / 1e9


def probes(port, loop, end):
    took = []
    while time.monotonic() < end:
        for _ in range(BURST):
            ask(port, GET)
        quiet = time.monotonic() + PAUSE
        while time.monotonic() < quiet:
            before = cpu(loop)
            took.append((ask(port, REFUSED), cpu(loop) - before))
            time.sleep(EVERY)
    return took


def ask(port, request):
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(request)
        while client.recv(4096):
            pass
    return time.monotonic() - begun


if __name__ == "__main__":
    main()

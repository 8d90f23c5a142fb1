"""Thousands of slow attackers: do other clients get responses as quickly, and what does an attacker cost?"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import run
from cores import busy_seconds
from process import Process
from servers import APPS, SERVERS, install

HERE = Path(__file__).parent
TIMEOUT = 5  # seconds, of heads and of bodies: header_timeout's default
OPTIONS = f"--max-concurrent-connections 20000 --header-timeout {TIMEOUT} --body-timeout {TIMEOUT}"
RELEASE = 35  # seconds until an idle server has released unused memory
NEVER_AGAIN = 90  # seconds after which attackers that do not end are a failure
CLIENTS = {  # name: connections at a time, fields of each request
    "one kept connection": (1, ()),
    "64 kept connections": (64, ()),
    "a connection per request": (1, ("Connection: close",)),
}


class Attackers:
    """A process of attackers, started and ended by the context; afterwards `outcome` has its results."""

    def __init__(self, port, count):
        self.words = [sys.executable, str(HERE / "attackers.py"), str(port), *map(str, count)]
        self.words += ["--pause", str(TIMEOUT - 1), "--spread", str(TIMEOUT), "--again"]

    def __enter__(self):
        self.popen = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.popen.stdout.readline() != "up\n":
            raise OSError("the attackers did not begin")
        return self

    def __exit__(self, *_):
        try:
            said, _ = self.popen.communicate(timeout=NEVER_AGAIN)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise
        self.outcome = json.loads(said)


def main():
    options = arguments()
    settings = run.settings_of(options)
    server = SERVERS["saltare"]._replace(many=OPTIONS)
    with run.only_run(options.cache):
        settings.bins[server.name], _ = install(server, options.python, options.cache)
        run.pin(settings)
        samples = []
        for number in range(1, settings.rounds + 1):
            samples.append((calm(server, settings), attacked(server, settings, options.attackers)))
            print(f"round {number}: {json.dumps(samples[-1])}", file=sys.stderr)
    text = page(samples, options, settings)
    options.to.write_text(text)
    print(text)


def arguments():
    parser = argparse.ArgumentParser(description="Attack saltare with thousands of slow peers.")
    parser.add_argument("--attackers", type=run.positive, default=5000, help="of heads, and as many of bodies")
    parser.add_argument("--rounds", type=run.positive, help="default 3")
    parser.add_argument("--seconds", type=run.positive, help="of load per client (default 5)")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cache", type=Path, default=run.CACHE)
    parser.add_argument("--to", type=Path, default=HERE / "results/slow.md", help="file for the tables")
    parser.set_defaults(quick=False)
    return parser.parse_args()


def calm(server, settings):
    with Process(server, "raw", settings, many=True) as process:
        return clients(process, settings)


def attacked(server, settings, count):
    """Memory in bytes: before, with each kind of attacker, and afterwards."""
    with Process(server, "raw", settings, many=True) as process, contextlib.ExitStack() as stack:
        clients(process, settings._replace(seconds=1))
        memory = {"before": process.memory()}
        heads = stack.enter_context(Attackers(process.port, ("--heads", count)))
        memory["heads"] = process.memory()
        beside_heads = clients(process, settings)
        bodies = stack.enter_context(Attackers(process.port, ("--bodies", count)))
        memory["heads and bodies"] = process.memory()
        beside_both = clients(process, settings)
        memory["after the load"] = process.memory()
        stack.close()
        memory["all ended"] = process.memory()
        time.sleep(RELEASE)
        memory[f"{RELEASE} s later"] = process.memory()
        outcome = heads.outcome | bodies.outcome
        return {"heads": beside_heads, "both": beside_both, "memory": memory, "attackers": outcome}


def clients(process, settings):
    """The figures of each client, and the share of the server's core that others used meanwhile."""
    found = {}
    for name, client in CLIENTS.items():
        before = usage(process, settings)
        found[name] = wrk(process.port, settings.seconds, *client)
        wall, busy, own = (now - then for now, then in zip(usage(process, settings), before, strict=True))
        found[name]["others"] = max(busy - own, 0) / wall
    return found


def usage(process, settings):
    return time.monotonic(), busy_seconds(settings.server_core), process.cpu_seconds()


def wrk(port, seconds, connections, fields):
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(APPS / "wrk.lua")]
    words += [word for field in fields for word in ("-H", field)]
    done = subprocess.run([*words, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def page(samples, options, settings):
    about = (
        f"{options.attackers:,} peers whose heads and as many whose bodies never end, which begin anew whenever they\n"
        f"are ended, against one process with timeouts of {TIMEOUT} s for both. Medians of {settings.rounds} rounds\n"
        f"(lowest to highest) of {settings.seconds} s per client; without and with the attack in turns, each time a\n"
        f"fresh process. Others: the share of the server's core that other work had meanwhile; above a tenth p99 says\n"
        f"little. Python {run.version_of(options.python)}."
    )
    parts = ["# Slow attackers", about, clients_table(samples), memory_table(samples), attackers_table(samples)]
    return "\n\n".join([*parts, ""])


def clients_table(samples):
    """Each client alone, beside the heads, and beside heads and bodies."""
    rows = [["client", "p99 us, alone", "beside heads", "ratio", "beside both", "ratio", "requests/s, alone"]]
    rows[0] += ["beside heads", "beside both", "failed", "others"]
    for name in CLIENTS:
        beside = [[calm[name], slow["heads"][name], slow["both"][name]] for calm, slow in samples]
        alone, heads, both = ([one["p99"] for one in side] for side in zip(*beside, strict=True))
        rates = [[one["requests"] * 1e6 / one["microseconds"] for one in side] for side in zip(*beside, strict=True)]
        every = [one for three in beside for one in three]
        failed = sum(one["errors"] + one["refused"] for one in every)
        row = [name, spread(alone)]
        for attacked in (heads, both):
            row += [spread(attacked), f"{median(attacked) / median(alone):.2f}"]
        rows.append([*row, *map(spread, rates), str(failed), f"{median(one['others'] for one in every):.0%}"])
    return table(rows)


def memory_table(samples):
    """The server's memory, and the increase since before."""
    rows = [["memory, MiB", "RSS", "more than before", "private", "more than before"]]
    for when in samples[0][1]["memory"]:
        row = [when]
        for kind in ("rss", "private"):
            found = [sample[1]["memory"] for sample in samples]
            row += [mib(one[when][kind] for one in found)]
            row += [mib(one[when][kind] - one["before"][kind] for one in found)]
        rows.append(row)
    return table(rows)


def attackers_table(samples):
    """Times of the fastest and slowest end over all rounds."""
    rows = [["attacker", "begun", "408 and closed", "anything else", "first after s", "last after s"]]
    for kind in samples[0][1]["attackers"]:
        found = [sample[1]["attackers"][kind] for sample in samples]
        counts = [f"{sum(one[key] for one in found):,}" for key in ("begun", "refused", "other")]
        rows.append(
            [kind, *counts, f"{min(one['first'] for one in found):.2f}", f"{max(one['last'] for one in found):.2f}"]
        )
    return table(rows)


def spread(values):
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def mib(values):
    return f"{median(values) / 2**20:.1f}"


def table(rows):
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()

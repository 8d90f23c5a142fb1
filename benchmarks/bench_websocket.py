"""Websockets compared with other servers: echo and broadcast in messages per second, idle websockets in memory."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import run
from cores import Meter
from figures import DISTURBED, MARK
from process import Process
from servers import SERVERS, install

HERE = Path(__file__).parent
MODES = ("echo", "broadcast")
CLIENTS = (8, 64, 512)
SIZES = (64, 4096, 65536)
UVICORN = SERVERS["uvicorn[standard]"]
PEERS = {
    server.name: server
    for server in (
        SERVERS["saltare"],
        UVICORN._replace(name="uvicorn-websockets", command=f"{UVICORN.command} --ws websockets"),
        UVICORN._replace(
            name="uvicorn-wsproto",
            command=f"{UVICORN.command} --ws wsproto",
            package=f"{UVICORN.package} wsproto==1.3.2",
        ),
        SERVERS["granian"],
        SERVERS["hypercorn"],
    )
}


def main():
    options = arguments()
    settings = run.settings_of(options)
    with run.only_run(options.cache), tempfile.TemporaryDirectory() as folder:
        program = built(folder)
        for name in options.servers:
            settings.bins[name], _ = install(PEERS[name], options.python, options.cache)
        run.pin(settings)
        samples = []
        for number in range(1, settings.rounds + 1):
            for name in options.servers:
                samples.append({"server": name, **measured(program, PEERS[name], settings, options)})
                print(f"round {number}: {json.dumps(samples[-1])}", file=sys.stderr)
    text = page(samples, options, settings)
    options.to.with_suffix(".json").write_text(json.dumps(samples, indent=1) + "\n")
    options.to.write_text(text)
    print(text)


def arguments():
    parser = argparse.ArgumentParser(description="Compare WebSockets of saltare and of other servers.")
    parser.add_argument("--servers", type=run.names_of(PEERS), default=tuple(PEERS))
    parser.add_argument("--rounds", type=run.positive, help="default 3")
    parser.add_argument("--seconds", type=run.positive, default=2, help="of load per measure")
    parser.add_argument("--idle", type=run.positive, default=5000, help="WebSockets that wait")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cache", type=Path, default=run.CACHE)
    parser.add_argument("--to", type=Path, default=HERE / "results/websocket.md", help="file for the tables")
    parser.set_defaults(quick=False)
    return parser.parse_args()


def built(folder):
    program = Path(folder) / "load"
    subprocess.run(["go", "build", "-o", program, "."], cwd=HERE / "websocket", check=True)
    return program


def measured(program, server, settings, options):
    """One round of a server: {"loads": {mode: {"clients x size": figures, or an error}}, "idle": bytes each}."""
    loads = {mode: {} for mode in MODES}
    with Process(server, "sockets", settings, many=True) as process:
        for mode in MODES:
            for clients in CLIENTS:
                for size in SIZES:
                    loads[mode][f"{clients} x {size}"] = under_load(program, process, settings, mode, clients, size)
    return {"loads": loads, "idle": idle(program, server, settings, options.idle)}


def under_load(program, process, settings, mode, clients, size):
    words = [program, "-mode", mode, "-path", f"/{mode}/{clients}x{size}", "-port", process.port]
    words += ["-clients", clients, "-size", size, "-seconds", settings.seconds]
    with Meter(process, settings) as meter:
        done = subprocess.run(
            [str(word) for word in words], capture_output=True, text=True, timeout=60 + settings.seconds
        )
    if done.returncode:
        return {"error": done.stderr.strip()[:200]}
    said = json.loads(done.stdout)
    rate = said["messages"] / said["seconds"]
    return {"rate": rate, "load": said["cpu"] / said["seconds"], "foreign": meter.foreign}


def idle(program, server, settings, count):
    """Bytes that each of `count` websockets costs while it waits in FastAPI's receive, after some warm-up ones."""
    with Process(server, "fast_sockets", settings, many=True) as process:
        with Waiting(program, process.port, 50):
            pass
        time.sleep(settings.settle)
        before = process.memory()
        with Waiting(program, process.port, count):
            time.sleep(settings.settle)
            after = process.memory()
        return {key: (after[key] - before[key]) / count for key in before}


class Waiting:
    """A process that holds `count` websockets."""

    def __init__(self, program, port, count):
        self.words = [str(word) for word in (program, "-mode", "idle", "-path", "/x", "-port", port, "-clients", count)]

    def __enter__(self):
        self.popen = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.popen.stdout.readline() != "up\n":
            raise OSError("the WebSockets were not accepted")

    def __exit__(self, *_):
        self.popen.communicate()


def page(samples, options, settings):
    about = (
        f"One process on one core, a load of one thread in Go on another, medians of {settings.rounds} rounds of\n"
        f"{settings.seconds} s. Broadcast: a client sends, all receive, then it sends again; messages received are\n"
        f"counted. Idle: {options.idle:,} that wait in a FastAPI endpoint's receive. {MARK.strip()}: others had more\n"
        f"than {DISTURBED:.0%} of a core in every round. Python {run.version_of(options.python)}."
    )
    parts = ["# WebSocket", about]
    for mode in MODES:
        parts += [f"## {mode}, messages per second", loads_table(samples, options.servers, mode)]
    return "\n\n".join([*parts, "## idle, bytes per WebSocket", idle_table(samples, options.servers), ""])


def loads_table(samples, servers, mode):
    columns = list(samples[0]["loads"][mode])
    rows = [["clients x bytes", *servers]]
    for column in columns:
        rows.append(
            [
                column,
                *(
                    rate_of([one["loads"][mode][column] for one in samples if one["server"] == name])
                    for name in servers
                ),
            ]
        )
    return table(rows)


def rate_of(rounds):
    found = [one for one in rounds if "rate" in one]
    if not found:
        return "failed"
    calm = [one["rate"] for one in found if one["foreign"] <= DISTURBED]
    return f"{median(calm or [one['rate'] for one in found]):,.0f}" + MARK * (not calm)


def idle_table(samples, servers):
    rows = [["memory", *servers]]
    for key, title in (("rss", "RSS"), ("private", "private")):
        rows.append(
            [
                title,
                *(f"{median(one['idle'][key] for one in samples if one['server'] == name):,.0f}" for name in servers),
            ]
        )
    return table(rows)


def table(rows):
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()

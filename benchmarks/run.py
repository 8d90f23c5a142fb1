"""The benchmark: every server, every workload, round after round; then the report."""

import argparse
import contextlib
import fcntl
import json
import os
import platform
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import report
from process import Process, StartError
from servers import SERVERS, InstallError, install
from workloads import WORKLOADS

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "saltare-bench"
FAILURES = (
    StartError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    subprocess.SubprocessError,
)
QUICK_SERVERS = ("saltare", "uvicorn[standard]")


class Settings(NamedTuple):
    """The settings of a measurement; times in seconds."""

    bins: dict[str, Path]  # server's name: bin directory of its virtual environment
    rounds: int = 3
    seconds: int = 5
    warm_up: int = 1
    tries: int = 3  # of a measurement that others disturb
    settle: float = 5  # longer than the idle passes that servers run some seconds after the last request
    levels: tuple[int, ...] = (1, 64, 256)
    counts: int = 3  # how many of bench_connections.COUNTS to measure
    server_core: int = 0
    load_core: int = 1


QUICK = {"seconds": 1, "tries": 1, "settle": 4, "levels": (1, 64), "counts": 1}


def main():
    options = arguments()
    need_tools()
    settings = settings_of(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped
    with only_run(options.cache):
        results = measured(options, settings)
    write(results, options.json)


def measured(options, settings):
    results = {"about": {}, "servers": prepare(options, settings), "samples": []}
    pin(settings)
    began = time.monotonic()
    try:
        for sample in samples(options, settings, list(settings.bins)):
            results["samples"].append(sample)
    except KeyboardInterrupt:
        print("interrupted: what was measured is reported", file=sys.stderr)
    results["about"] = about(options, settings, began)
    results["about"]["rounds"] = max((sample["round"] for sample in results["samples"]), default=0)
    return results


def arguments():
    parser = argparse.ArgumentParser(description="Compare saltare with other ASGI servers.")
    parser.add_argument("--quick", action="store_true", help="two minutes: saltare, uvicorn[standard]")
    parser.add_argument("--servers", type=names_of(SERVERS), help=f"of {','.join(SERVERS)}")
    parser.add_argument("--workloads", type=names_of(WORKLOADS), default=tuple(WORKLOADS))
    parser.add_argument("--rounds", type=positive, help="default 3")
    parser.add_argument("--seconds", type=positive, help="of load per measure (default 5)")
    parser.add_argument("--python", default=sys.executable, help="interpreter under the servers")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"virtual environments ({CACHE})")
    parser.add_argument("--json", type=Path, help="where the figures go, the report beside them")
    options = parser.parse_args()
    options.servers = options.servers or (QUICK_SERVERS if options.quick else tuple(SERVERS))
    options.json = options.json or HERE / f"results/{'quick' if options.quick else 'latest'}.json"
    return options


def names_of(table):
    def parse(text):
        names = tuple(text.split(","))
        for name in names:
            if name not in table:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {','.join(table)}")
        return names

    return parse


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def settings_of(options):
    settings = Settings(bins={})._replace(**(QUICK if options.quick else {}))
    given = {"rounds": options.rounds, "seconds": options.seconds}
    return settings._replace(**{name: value for name, value in given.items() if value})


@contextlib.contextmanager
def only_run(cache):
    """Two runs at once would disturb each other: the second waits."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run is under way: waiting for its end", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def need_tools():
    if not shutil.which("wrk") and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], check=False)
    if not shutil.which("wrk"):
        sys.exit("wrk is not on the PATH: apt-get install wrk")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("two cores are needed: one for the server, one for the load")


def prepare(options, settings):
    """Install every server and start it once per app, so that compiled files exist before any measurement."""
    facts = {}
    for name in options.servers:
        server = SERVERS[name]
        print(f"installing {name}", file=sys.stderr)
        facts[name] = {"command": shown(server)}
        try:
            settings.bins[name], facts[name]["version"] = install(server, options.python, options.cache)
        except InstallError as error:
            facts[name]["error"] = f"not installed: {error}"
            continue
        for app in server.apps:
            attempt(start_and_stop, server, app, settings)
    return facts


def shown(server):
    """The command without the paths of this machine."""
    keep = {"port": "PORT", "app": "APP", "config": f"apps/{server.config}", "work": "WORK", "files": "apps"}
    return server.command.replace("{bin}/", "").format(bin="", workers=server.one, **keep).rstrip()


def start_and_stop(server, app, settings):
    with Process(server, app, settings):
        return {}


def attempt(measure, *arguments):
    """The figures, or the error: one broken server must not end the run."""
    try:
        return {"figures": measure(*arguments)}
    except FAILURES as error:
        return {"error": f"failed: {error}"}


def pin(settings):
    """Builds may use every core; from here on only servers use the first."""
    os.sched_setaffinity(0, {settings.load_core})
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def samples(options, settings, servers):
    for number in range(1, settings.rounds + 1):
        for workload in options.workloads:
            if options.quick and WORKLOADS[workload].STEADY and number > 1:
                continue
            for name in servers:
                if workload in SERVERS[name].workloads:
                    yield sample(number, workload, SERVERS[name], settings)


def sample(number, workload, server, settings):
    outcome = attempt(WORKLOADS[workload].measure, server, settings)
    print(f"round {number} {workload} {server.name}: {brief(outcome)}", file=sys.stderr)
    return {"round": number, "workload": workload, "server": server.name, **outcome}


def brief(outcome):
    figures = outcome.get("figures", {})
    return outcome.get("error") or ", ".join(f"{key} {value:,.6g}" for key, value in figures.items())


def about(options, settings, began):
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "command": command_line(options),
        "Python": version_of(options.python),
        "kernel": platform.release(),
        "CPU": f"{cpu_model()}, {os.cpu_count()} cores",
        "rounds": settings.rounds,
        "each measure": f"{settings.seconds} s after {settings.warm_up} s of warm-up",
        "took": f"{(time.monotonic() - began) / 60:.1f} minutes",
    }


def command_line(options):
    """The command line, without the paths of this machine."""
    words = ["run.py", *(["--quick"] if options.quick else [])]
    words += ["--servers", ",".join(options.servers), "--workloads", ",".join(options.workloads)]
    return shlex.join(words)


def version_of(python):
    words = [python, "-c", "import platform as p; print(p.python_version())"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def write(results, path):
    text = report.full(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    path.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

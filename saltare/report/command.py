"""`saltare memory MODULE:ATTRIBUTE`: where the memory of an app goes, and how to save some."""

import os
import subprocess
import sys
import tempfile

from ..errors import AppError, ConfigError, StartError
from ..launch.arguments import Line
from ..log import write
from ..options.sources import COMMAND_LINE
from ..options.sources import load as load_config
from ..options.values import shown_app
from .imports import Amount
from .page import mib, page

MOST_PACKAGES = 12  # shown by name
SMALL = 100  # KiB; smaller packages are summed up
OWN = (
    ("--path", "PATH", "path to ask for; repeat it for several (default /)"),
    ("--requests", "N", "how many requests the sample load has (default 200)"),
    ("--html", "FILE", "also write the report as a page"),
    ("--alone", "", "leave out other options and other servers"),
)


class Row:
    """A line of a table: its name, an Amount, and a note."""

    def __init__(self, kind, name, amount, note=""):
        self.kind, self.name, self.amount, self.note = kind, name, amount, note


class Report:
    """All measurements, in KiB."""

    def __init__(self, app):
        self.app = app
        self.parts = []  # Rows: the memory that imports added
        self.free = None
        self.served = None  # Weight as configured
        self.asked = ""
        self.others = []  # (name, Weight or None, why not): options first, then other servers
        self.options = 0  # the number of options among them


def main(arguments):
    """Runs the command and returns its exit code."""
    own, line = own_arguments(arguments)
    if line.action == "help":
        print_help()
        return 0
    config = load_config(None, line.given, source=COMMAND_LINE, problems=line.problems, command=line.command)
    report = measured(config, own)
    print(text(report), end="", flush=True)
    if own["html"] is not None:
        with open(own["html"], "w", encoding="utf-8") as file:
            file.write(page(report))
    return 0


def own_arguments(arguments):
    """The command's own options, and the others as a Line."""
    import argparse

    parser = argparse.ArgumentParser(prog="saltare memory", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--path", action="append")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--html")
    parser.add_argument("--alone", action="store_true")
    try:
        namespace, rest = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError(str(error)) from None
    line = Line(rest)
    if line.action not in (None, "help"):
        accepts = "accepted: one MODULE:ATTRIBUTE and options"
        line.problems.append(f"--{line.action}: not accepted by saltare memory; {accepts}")
    if not 0 <= namespace.requests <= 1_000_000:
        line.problems.append(f"--requests: got {namespace.requests}; accepted: a whole number from 0 to 1000000")
    return vars(namespace), line


def print_help():
    from ..launch.usage import usage

    print(usage("saltare memory", [("Report", OWN)]), end="", flush=True)


# ---- measuring -----------------------------------------------------------------------------------------------------


def measured(config, own):
    from .servers import Saltare, peers, variants

    report = Report(shown_app(config.app))
    paths = own["path"] or ["/"]
    load = (paths, own["requests"])
    report.asked = f"{own['requests']} requests for {', '.join(paths)}"
    progress("importing")
    weigh_imports(config, report)
    progress("serving")
    report.served = Saltare("as configured", config).weigh(load)
    if own["alone"]:
        return report
    with tempfile.TemporaryDirectory(prefix="saltare-memory-", dir=park_folder()) as folder:
        options = list(variants(config, folder))
        report.options = len(options)
        for server in [*options, *peers(config)]:
            progress(server.name)
            report.others.append((server.name, *tried(server, load)))
    progress(None)
    return report


def park_folder():
    """A folder likely to be on a disk; the temporary folder is often in memory."""
    return next((folder for folder in ("/var/tmp", ".") if os.access(folder, os.W_OK)), None)


def tried(server, load):
    """(Weight, its note) or (None, why it did not start). An extra first start fills the cache of bytecode."""
    try:
        if getattr(server, "flags", ()):
            server.weigh((["/"], 0))
        weight = server.weigh(load)
        return weight, weight.note
    except StartError as error:
        return None, str(error)


def weigh_imports(config, report):
    """Fills report.parts. AppError when the app cannot be imported."""
    import json

    from ..launch.interpreter import clean_interpreter

    with tempfile.TemporaryFile("w+") as out:
        code = f"from saltare.report.imports import main; main({{fd}}, {out.fileno()})"
        command, environment, fd = clean_interpreter(code, config.values(), config.sources)
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        subprocess.run(command, env=environment, **streams, pass_fds=[fd, out.fileno()])
        os.close(fd)
        out.seek(0)
        found = out.read()
    if not found:
        raise AppError("the app could not be imported, as shown above")
    found = json.loads(found)
    report.free = found["free"]
    report.parts = list(
        parts([(kind, name, Amount(rss, private), n) for kind, name, rss, private, n in found["steps"]])
    )


def parts(steps):
    """Rows: the interpreter and asyncio whole, the app by package, saltare and its core."""
    yield Row("interpreter", f"Python {sys.version.split()[0]}", total(steps, "interpreter"))
    yield Row("interpreter", "asyncio", total(steps, "asyncio"))
    packages = sorted((step for step in steps if step[0] == "app" and step[1]), key=lambda step: -step[2].rss)
    shown = [step for step in packages if step[2].rss >= SMALL][:MOST_PACKAGES]
    for _, name, amount, modules in shown:
        yield Row("app", name, amount, f"{modules} module{'s' * (modules != 1)}")
    rest = [step for step in steps if step[0] == "app" and step not in shown]
    count = sum(step[3] for step in rest)
    yield Row("app", "other imports", total(rest, "app"), f"{count} module{'s' * (count != 1)}, and the app's own work")
    yield Row("saltare", "saltare", total(steps, "saltare"))
    yield Row("core", "its core, and Go", total(steps, "core"))


def total(steps, kind):
    return sum((amount for one, _, amount, _ in steps if one == kind), Amount())


def progress(what):
    """Shows progress on a terminal."""
    if sys.stderr.isatty():
        write(f"\r\033[Ksaltare memory: {what} ..." if what else "\r\033[K")


# ---- as text -------------------------------------------------------------------------------------------------------


def text(report):
    lines = [f"{report.app}: memory in MiB (RSS; of it private to the process)", "", "what imports take"]
    lines += [line(row.name, row.amount, row.note) for row in report.parts]
    if report.free is not None:
        lines.append(f"  of it in free blocks of malloc: {mib(report.free)}")
    served = report.served
    lines += ["", f"the server{processes(served)}"]
    lines += [
        line("idle, start-up's pages released", served.idle),
        line("after the sample load", served.used, report.asked),
        f"  of it touched by these requests (hot): {mib(served.hot)}; shared with files: {mib(shared(served.used))}",
    ]
    for title, others in (
        ("what options would change", report.others[: report.options]),
        ("other servers", report.others[report.options :]),
    ):
        if others:
            lines += ["", title, f"  {'':<40} {'idle':>16} {'after load':>16}"]
            lines += [line_of_other(report, *other) for other in others]
    return "\n".join(lines) + "\n"


def line(name, amount, note=""):
    return f"  {name:<40} {pair(amount)}{'  ' + note if note else ''}"


def line_of_other(report, name, weight, note):
    if weight is None:
        return f"  {name:<40} {note}"
    more = weight.used.rss - report.served.used.rss
    notes = [f"{more / 1024:+.1f} MiB"] + [note] * bool(note)
    return f"  {name:<40} {pair(weight.idle)} {pair(weight.used)}  {', '.join(notes)}{processes(weight)}"


def pair(amount):
    return f"{amount.rss / 1024:7.1f} ({amount.private / 1024:6.1f})"


def shared(amount):
    return amount.rss - amount.private


def processes(weight):
    return f" ({weight.processes} processes, what they share counted once)" if weight.processes > 1 else ""

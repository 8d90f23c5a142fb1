"""Programs of the package index under uvicorn and under saltare: whether they answer alike, and what they take.

Each program is crawled twice under uvicorn, which shows what of its responses changes by itself, and once under
saltare. Then a browser opens a page of it, a client leaves a stream that never ends, and the server is stopped while
another one is open.
"""

import argparse
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import browser
from crawl import ask, crawl, differences, stable
from process import environment, every_pid, fields, free_port, session_of
from run import CACHE
from servers import InstallError

from programs import HERE, LAUNCHERS, PROGRAMS, Ask, build_wheel, install

RESULTS = Path(__file__).parent / "results" / "programs.md"
MIB = 1 << 20
LEAVE_SECONDS = 10  # for a server to notice that the client of a stream has left
STOP_SECONDS = 10
SETTLE_SECONDS = 6  # longer than the idle passes after the last request
BEGIN, END = "<!-- {} -->", "<!-- /{} -->"  # around a table: `programs`, and `own` for --own


class Failed(Exception):
    """A program that did not start, with its last words."""


class Running:
    """A program on a server, in a session of its own; `port` is where it listens."""

    def __init__(self, program, launcher, bin, port, own):
        self.program, self.launcher, self.bin, self.port = program, launcher, bin, port
        self.line = launcher.line(program, own)

    def __enter__(self):
        self.files = contextlib.ExitStack()
        self.work = self.files.enter_context(tempfile.TemporaryDirectory(prefix="program-"))
        self.log = self.files.enter_context(open(f"{self.work}/log", "w+b"))
        env = {name: self.filled(value) for name, value in (*self.program.env, *self.launcher.env)}
        self.popen = subprocess.Popen(
            shlex.split(self.filled(self.line)),
            cwd=HERE,
            env={**environment(), "PYTHONPATH": str(HERE), **env},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def filled(self, text):
        return text.format(bin=self.bin, work=self.work, port=self.port)

    def wait_until_ready(self):
        deadline = time.monotonic() + self.program.seconds
        while not self.is_ready():
            if self.popen.poll() is not None:
                raise Failed(f"ended with code {self.popen.returncode}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise Failed(f"not ready after {self.program.seconds} s: {self.last_words()}")
            time.sleep(0.2)

    def is_ready(self):
        status = ask(self.port, Ask(self.program.asks[0].path)).status
        return status > 0 and self.program.ready in (None, status)

    def last_words(self):
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"

    def memory(self):
        """Resident and private bytes of all its processes."""
        rollups = [fields(f"/proc/{pid}/smaps_rollup") for pid in self.pids()]
        return sum(one["Rss"] for one in rollups), sum(one["Anonymous"] for one in rollups)

    def pids(self):
        return [pid for pid in every_pid() if session_of(pid) == self.popen.pid]

    def stop(self):
        """Seconds from SIGTERM to the end of the process; None when it has to be killed."""
        began = time.monotonic()
        self.popen.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(STOP_SECONDS)
            return time.monotonic() - began

    def kill(self):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.popen.wait()
        self.files.close()


class Open:
    """A client that has received the beginning of a stream."""

    def __init__(self, port, what):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), STOP_SECONDS)
        lines = [f"{what.method} {what.path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in what.fields]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + what.body)
        begun = b""
        while b"\r\n\r\n" not in begun:
            if not (piece := self.socket.recv(65536)):
                raise Failed(f"{what.path}: closed after {begun[:80]!r}")
            begun += piece
        self.status = int(begun.split()[1])

    def left(self):
        """Seconds until the server has given up the connection after the client left; None when it does not."""
        own = self.socket.getsockname()[1]
        self.socket.close()
        began = time.monotonic()
        while time.monotonic() - began < LEAVE_SECONDS:
            if not half_open(self.port, own):
                return time.monotonic() - began
            time.sleep(0.05)
        return None


def half_open(port, peer):
    """Whether the server's socket of that connection still waits for its own close: CLOSE_WAIT in proc_net_tcp(5)."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(words[3] == "08" and port_of(words[1]) == port and port_of(words[2]) == peer for words in lines)


def port_of(address):
    return int(address.rpartition(":")[2], 16)


def measured(running, seeds, screenshot=None):
    """{what: figure} of one start of the program: replies, memory, its page in a browser, how a stream ends.

    Without seeds neither replies nor page. `screenshot`: a file for the page's.
    """
    program, port = running.program, running.port
    with running:
        replies = crawl(port, seeds) if seeds else {}
        if replies and replies[seeds[0]].status >= 500:
            raise Failed(f"{seeds[0].path}: status {replies[seeds[0]].status}")
        time.sleep(SETTLE_SECONDS)
        rss, private = running.memory()
        figures = {"replies": replies, "rss": rss, "private": private, "left": None, "stop": None}
        figures["page"] = browser.look(port, program.page, screenshot) if seeds and opens(program) else None
        if program.stream is not None:
            figures["left"] = Open(port, program.stream).left()
            figures["open"] = Open(port, program.stream)
        figures["stop"] = running.stop()
        return figures


def opens(program):
    return bool(program.page and browser.program())


def compared(program, bin, version, own, screenshots=None):
    """The row of a program, as cells, and what differs. `screenshots`: a folder for them."""
    port = free_port()
    figures, said = {}, []
    for name, launcher in {"again": LAUNCHERS["uvicorn"], **LAUNCHERS}.items():
        try:
            seeds = list(figures["again"]["replies"]) if figures.get("again") else program.asks
            running = Running(program, launcher, bin, port, own)
            picture = screenshots and screenshots / f"{program.name}-{name}.png"
            figures[name] = measured(running, () if name == "saltare parked" else seeds, picture)
        except (Failed, browser.Failed) as error:
            said.append(f"{name}: {error}")
            figures[name] = None
    if figures["again"] and figures["uvicorn"] and figures["saltare"]:
        first, second, other = (figures[name]["replies"] for name in ("again", "uvicorn", "saltare"))
        alike = f"{len(first)} ({stable(first, second)})"
        found = differences(first, second, other)
        pages = [figures[name]["page"] for name in ("again", "uvicorn", "saltare")]
        found += browser.differences(*pages) if all(pages) else []
        said += found
    else:
        alike, found, pages = "", ["it does not run"], [None]
    cells = [f"{program.name} {version}", alike, str(len(found))]
    for what in ("left", "stop"):
        cells += [seconds(figures[name], what, program) for name in ("uvicorn", "saltare")]
    for what in ("rss", "private"):
        cells += [f"{figures[name][what] / MIB:.0f}" if figures[name] else "" for name in LAUNCHERS]
    cells.append(f"{pages[-1].requests} requests, {len(pages[-1].websockets)} ws" if all(pages) else "")
    return cells, said


def seconds(figures, what, program):
    if figures is None or (what == "left" and program.stream is None):
        return ""
    return "never" if figures[what] is None else f"{figures[what]:.1f}"


HEAD = (
    *("program", "URLs (stable)", "differ", "left, s: uvicorn", "saltare", "stop, s: uvicorn", "saltare"),
    *("RSS, MiB: uvicorn", "saltare", "parked", "private, MiB: uvicorn", "saltare", "parked"),
    "page",
)


def table(rows):
    lines = [HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main():
    parser = argparse.ArgumentParser(description="Serve programs of the package index with uvicorn and with saltare.")
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=list(PROGRAMS), metavar="NAME")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument(
        "--own", action="store_true", help="start programs by their own commands, on saltare by `saltare as-uvicorn`"
    )
    parser.add_argument("--screenshots", type=Path, metavar="DIR", help="a folder for pictures of the pages")
    parser.add_argument("--write", action="store_true", help=f"put the rows into {RESULTS.name}")
    options = parser.parse_args()
    if browser.program() is None:
        print("there is no Chromium: no page is opened (apt-get install chromium)", file=sys.stderr)
    rows, failed = [], False
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(options.python, Path(folder))
        for program in map(PROGRAMS.get, options.only):
            try:
                bin, version = install(program, options.python, options.cache, wheel)
            except InstallError as error:
                print(f"{program.name}: not installed: {error}", file=sys.stderr)
                continue
            cells, said = compared(program, bin, version, options.own, options.screenshots)
            rows.append(cells)
            print(" | ".join(cells), *said, sep="\n    ", file=sys.stderr)
            failed = failed or bool(said)
    print(table(rows))
    if options.write:
        RESULTS.write_text(with_rows(RESULTS.read_text(), rows, "own" if options.own else "programs"))
    sys.exit(int(failed))


def with_rows(text, rows, mark):
    """The text with these rows in the table of that mark, where they replace earlier ones of the same programs."""
    begin, end = BEGIN.format(mark), END.format(mark)
    before, _, rest = text.partition(begin)
    old, _, after = rest.partition(end)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in old.strip().splitlines()[2:]]
    wide = [row + [""] * (len(HEAD) - len(row)) for row in (*cells, *rows)]
    found = {row[0].split()[0]: row for row in wide}
    ordered = [found[name] for name in PROGRAMS if name in found]
    return f"{before}{begin}\n\n{table(ordered)}\n\n{end}{after}"


if __name__ == "__main__":
    main()

"""A running server: started on its own core, measured with all its processes, always ended."""

import contextlib
import json
import os
import shlex
import signal
import socket
import string
import subprocess
import tempfile
import time
from pathlib import Path

import client
from cores import TICKS, pinned
from servers import APPS

START_SECONDS = 30
STOP_SECONDS = 3
ANSWERS = {"raw": b"Hello, World!", "fast": {"message": "Hello, World!"}}
ANSWERS |= {"sockets": ANSWERS["raw"], "fast_sockets": ANSWERS["fast"]}


class StartError(Exception):
    """The server did not start, or gave a wrong response; the message has its last output."""


class Process:
    """Context manager around one server and one app; `port` is where it listens.

    Memory figures are bytes, summed over every process of the server's session.
    """

    def __init__(self, server, app, settings, many=False, four=False):
        self.server, self.app, self.settings = server, app, settings
        self.workers = server.four if four else server.one
        self.many = server.many if many else ""
        self.port = free_port()

    def __enter__(self):
        self.files = contextlib.ExitStack()
        self.work = self.files.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        self.log = self.files.enter_context(open(f"{self.work}/log", "w+b"))
        try:
            self.start()
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.popen = subprocess.Popen(
            [*pinned(self.settings.server_core), *self.words()],
            cwd=APPS,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def words(self):
        text = f"{self.server.command} {self.many}".format(
            bin=self.settings.bins[self.server.name],
            app=self.app,
            port=self.port,
            files=APPS,
            work=self.work,
            workers=self.workers,
            config=self.config(),
        )
        return shlex.split(text)

    def config(self):
        if not self.server.config:
            return ""
        path = Path(self.work) / self.server.config
        template = string.Template((APPS / self.server.config).read_text())
        path.write_text(template.substitute(port=self.port))
        return path

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.popen.poll() is not None:
                raise StartError(f"ended with code {self.popen.returncode}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise StartError(f"not ready after {START_SECONDS} s: {self.last_words()}")
            time.sleep(0.05)

    def ready(self):
        if self.server.name == "floor":
            return b"ready" in self.said()
        try:
            with client.connect(self.port) as peer:
                answer = client.ask(peer)
        except ConnectionError:
            return False
        if (json.loads(answer) if self.app.startswith("fast") else answer) != ANSWERS[self.app]:
            raise StartError(f"answered {answer[:60]!r}")
        return True

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def last_words(self):
        lines = self.said().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"

    def stop(self):
        """Terminate the first process, wait a little, then kill the rest of the session."""
        if hasattr(self, "popen"):
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(STOP_SECONDS)
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.wait()
        self.files.close()

    def pids(self):
        return [pid for pid in every_pid() if session_of(pid) == self.popen.pid]

    def memory(self):
        """{"rss", "pss", "private"} in bytes; private is anonymous memory, in any mapping."""
        total = {"rss": 0, "pss": 0, "private": 0}
        for pid in self.pids():
            rollup = fields(f"/proc/{pid}/smaps_rollup")
            total["rss"] += rollup["Rss"]
            total["pss"] += rollup["Pss"]
            total["private"] += rollup["Anonymous"]
        return total

    def private(self):
        """Private bytes of each process, the largest first."""
        rollups = [fields(f"/proc/{pid}/smaps_rollup") for pid in self.pids()]
        return sorted((one["Private_Dirty"] + one["Private_Clean"] for one in rollups), reverse=True)

    def forget_peak(self):
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self):
        """Highest RSS of each process since `forget_peak`, summed."""
        return sum(fields(f"/proc/{pid}/status")["VmHWM"] for pid in self.pids())

    def cpu_seconds(self):
        """User and system time, including ended threads; accurate to one clock tick per process."""
        return sum(sum(map(int, stat(pid)[11:13])) for pid in self.pids()) / TICKS


def environment():
    """A server's environment, without the caller's settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def every_pid():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def session_of(pid):
    try:
        return int(stat(pid)[3])
    except OSError:
        return None


def stat(pid):
    """proc(5) stat from the field after the command's name, which may itself hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def fields(path):
    """`Name:  123 kB` lines as {name: bytes}."""
    found = {}
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            found[name] = int(value[:-3]) * 1024
    return found

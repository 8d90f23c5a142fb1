"""Servers for tests: in a thread of this process, or started from the command line in a process of their own."""

import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

HANG = 30  # seconds; no test expects to wait this long, the limit only ends tests that would wait for ever


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class Journal(logging.Handler):
    """Collects what the server logs, as text."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record):
        self.lines.append(self.format(record))


ALIVE = set()  # the servers of this process that have not ended


def wait_until(condition, tell=lambda: "it did not come to that"):
    """Wait until condition() holds; fail with the text from tell() when it never does."""
    deadline = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < deadline, tell()
        time.sleep(0.002)


class Logged:
    """Common part of both kinds of server: `.logs()` returns everything logged so far."""

    def wait_for_log(self, text):
        """Wait for the text: a response may arrive before its log line is written."""
        wait_until(lambda: text in self.logs(), lambda: f"{text!r} was not logged, but:\n{self.logs()}")


class Running(Logged):
    """A server in a thread of this process: `.url`, `.port`, `.logs()`, `.stop()`, `.server` (the saltare.Server)."""

    def __init__(self, context):
        self.journal = Journal()
        logger = logging.getLogger("saltare")
        with contextlib.ExitStack() as stack:
            logger.addHandler(self.journal)
            stack.callback(logger.removeHandler, self.journal)
            self.server = stack.enter_context(context)
            self._end = stack.pop_all()
        self.url = self.server.url
        self.port = urlsplit(self.url).port if self.url.startswith("http") else None
        ALIVE.add(self)

    def logs(self):
        return "\n".join(self.journal.lines)

    def stop(self):
        ALIVE.discard(self)
        self._end.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


@contextlib.contextmanager
def starter(running=None):
    """Starts servers and stops them afterwards. `running(app, **options)` is saltare.running by default."""
    import saltare

    with contextlib.ExitStack() as stack:

        def start(app, **options):
            if not {"uds_path", "bind", "fd"}.intersection(options):
                options.setdefault("port", 0)
            server = Running((running or saltare.running)(app, **options))
            stack.callback(server.stop)
            return server

        yield start


class Process(Logged):
    """A server started by the command line: `.url`, `.port`, `.pid`, `.logs()`, `.stop(signal) -> exit code`."""

    def __init__(self, command, log, **popen):
        self._log = Path(log)
        with open(log, "wb") as stderr:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr, **popen)
        self.pid = self.popen.pid
        self.url = self._wait_for_startup()
        self.port = urlsplit(self.url).port if self.url.startswith("http") else None

    def _wait_for_startup(self):
        deadline = time.monotonic() + HANG
        while time.monotonic() < deadline:
            ended = self.popen.poll() is not None
            if found := re.search(r"listening on (\S+)", self.logs()):
                return found[1].rstrip(",;")
            if ended:
                break
            time.sleep(0.01)
        self.popen.kill()
        raise AssertionError(f"no start-up line; exit code {self.popen.wait()}:\n{self.logs()}")

    def logs(self):
        return self._log.read_text(errors="replace")

    def stop(self, number=signal.SIGTERM):
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.wait()

    def wait(self):
        try:
            return self.popen.wait(HANG)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError(f"still running {HANG} s after it was told to stop:\n{self.logs()}") from None

    def end(self):
        """For the fixture: a server that the test has not stopped must stop gracefully."""
        if self.popen.poll() is None:
            code = self.stop()
            assert code == 0, f"exit code {code}:\n{self.logs()}"


@contextlib.contextmanager
def process_starter(folder, logs):
    """A function that starts `python -m saltare` in `folder`, stderr in a file in `logs`; servers stop afterwards."""
    with contextlib.ExitStack() as stack:

        def start(app, *args, env=None, **popen):
            command = [sys.executable, "-m", "saltare", app, *map(str, args)]
            if not {"--port", "--uds", "--bind", "--fd"}.intersection(command):
                command += ["--port", "0"]
            log = logs / f"stderr-{time.monotonic_ns()}"
            server = Process(command, log, cwd=popen.pop("cwd", folder), env={**os.environ, **(env or {})}, **popen)
            stack.callback(server.end)
            return server

        yield start


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

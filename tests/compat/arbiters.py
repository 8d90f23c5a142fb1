"""gunicorn's arbiter with our worker, as a process of its own."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from family import alive, children
from harness import HANG, Process, wait_until
from rawsocket import Raw

HERE = Path(__file__).parent
# Not `python -m gunicorn`: at SIGUSR2 the arbiter executes sys.argv, and then the package's folder would be on sys.path.
GUNICORN = [sys.executable, str(Path(sys.executable).with_name("gunicorn")), "--no-control-socket"]


class Arbiter(Process):
    reports = None  # the file of gunicorn_apps.report

    def workers(self):
        return [pid for pid in children(self.pid) if alive(pid)]

    def wait_for_workers(self, count, without=()):
        """The workers, once there are that many which serve, and none of `without` is left."""
        seen = []

        def there():
            seen[:] = [pid for pid in self.workers() if f"(pid {pid}, plain core)" in self.logs()]
            return len(seen) == count == len(self.workers()) and not set(without) & set(seen)

        wait_until(there, lambda: f"serving: {seen}, not {count} without {without}\n{self.logs()}")
        return seen

    def reload(self):
        before = self.workers()
        self.popen.send_signal(signal.SIGHUP)
        return self.wait_for_workers(len(before), without=before)

    def reported(self, pid=None):
        lines = self.reports.read_text().splitlines() if self.reports.exists() else []
        pairs = [line.split(" ", 1) for line in lines]
        return [text for number, text in pairs if pid in (None, int(number))]

    def wait_for_report(self, text):
        wait_until(lambda: text in self.reported(), lambda: f"no {text}: {self.reported()}\n{self.logs()}")

    def get(self, target="/", *fields):
        with Raw(self) as client:
            return client.get(target, *fields).read_response()


@pytest.fixture
def gunicorn(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(*args, app="gunicorn_apps:app", worker="saltare.workers.SaltareWorker", env=None, **popen):
            Arbiter.reports = tmp_path / "reports"
            binds = [] if {"-b", "--bind"} & set(args) else ["-b", "127.0.0.1:0"]
            command = [*GUNICORN, "-k", worker, *binds, *map(str, args), app]
            env = {**os.environ, "REPORTS": str(Arbiter.reports), **(env or {})}
            server = Arbiter(command, tmp_path / "log", **{"cwd": HERE, "env": env, **popen})
            stack.callback(server.end)
            return server

        yield start


def ended(*args, app="gunicorn_apps:app", cwd=HERE):
    """A gunicorn that does not come to serve: its exit code and output."""
    command = [*GUNICORN, "-k", "saltare.workers.SaltareWorker", "-b", "127.0.0.1:0", *map(str, args), app]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


class Recorder:
    """A logger of gunicorn that keeps what it gets."""

    def __init__(self):
        self.error_log, self.access_log = logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")
        self.records = []

    def access(self, resp, req, environ, request_time):
        self.records.append((resp.status, resp.sent, dict(resp.headers), req.uri, environ, request_time))

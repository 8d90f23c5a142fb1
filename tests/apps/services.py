"""PostgreSQL and Redis for tests, started by an ordinary user in a temporary folder."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import pytest

from harness import HANG, unused_port


def program(name):
    """Path of a program, also in Debian's PostgreSQL folders; skips the test when it is missing, with a reason."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = shutil.which(name) or (str(installed[0]) if installed else None)
    if found is None:
        reason = f"{name} is not installed on this machine"
        warnings.warn(pytest.PytestWarning(f"SKIPPED: {reason}"), stacklevel=2)
        pytest.skip(reason)
    return found


def ordinary_user(*names):
    """Popen's arguments to run as the first of these users that exists, when we are root; both programs refuse root."""
    if os.getuid() != 0:
        return {}
    for name in (*names, "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL and Redis do not run as root, and there is no other user")


@contextlib.contextmanager
def folder_of(user):
    with tempfile.TemporaryDirectory(prefix="saltare-test-", ignore_cleanup_errors=True) as folder:
        if user:
            os.chown(folder, user["user"], user["group"])
        yield Path(folder)


@contextlib.contextmanager
def process(command, log, **popen):
    """Runs a server from its ready message, which both programs write in the same words, and stops it."""
    with open(log, "wb") as out:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **popen)
    try:
        deadline = time.monotonic() + HANG
        while "ready to accept connections" not in log.read_text().lower():
            assert running.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        running.terminate()
        try:
            running.wait(HANG)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextlib.contextmanager
def postgresql():
    initdb, server = program("initdb"), program("postgres")
    user = ordinary_user("postgres")
    with folder_of(user) as folder, folder_of({}) as logs:
        data = folder / "data"
        init = [
            initdb,
            "--pgdata",
            data,
            *"--auth trust --username postgres --encoding UTF8 --locale C --no-sync".split(),
        ]
        done = subprocess.run(init, cwd=folder, capture_output=True, text=True, **user)
        assert done.returncode == 0, done.stderr
        port = unused_port()
        command = [server, "-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-F"]
        with process(command, logs / "log", cwd=folder, **user):
            yield port


@contextlib.contextmanager
def redis():
    server = program("redis-server")
    user = ordinary_user("redis")
    with folder_of(user) as folder, folder_of({}) as logs:
        port = unused_port()
        command = [server, "--dir", folder, *f"--port {port} --bind 127.0.0.1 --appendonly no".split(), "--save", ""]
        with process(command, logs / "log", cwd=folder, **user):
            yield port

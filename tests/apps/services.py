"""PostgreSQL and Redis as tests need them: started by an ordinary user in a folder of its own. Per process."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import pytest
from harness import HANG, unused_port


def program(name):
    """Where a program is, Debian's folders for PostgreSQL included; without it the test is skipped, loudly."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = shutil.which(name) or (str(installed[0]) if installed else None)
    if found is None:
        reason = f"{name} is not installed on this machine"
        warnings.warn(pytest.PytestWarning(f"SKIPPED: {reason}"), stacklevel=2)
        pytest.skip(reason)
    return found


def ordinary_user(*names):
    """Popen's arguments to be the first of these users that exists, when we are root; both programs refuse root."""
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
def process(command, port, log, **popen):
    """Runs a server until it listens, gives its port, and ends it."""
    with open(log, "wb") as out:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **popen)
    try:
        wait_for_port(running, port, log)
        yield port
    finally:
        running.terminate()
        try:
            running.wait(HANG)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def wait_for_port(running, port, log):
    deadline = time.monotonic() + HANG
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert running.poll() is None and time.monotonic() < deadline, Path(log).read_text()
        time.sleep(0.02)


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
            "--auth",
            "trust",
            "--username",
            "postgres",
            "--no-sync",
            "--encoding",
            "UTF8",
        ]
        done = subprocess.run([*init, "--locale", "C"], cwd=folder, capture_output=True, text=True, **user)
        assert done.returncode == 0, done.stderr
        port = unused_port()
        command = [server, "-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-F"]
        with process(command, port, logs / "log", cwd=folder, **user):
            yield port


@contextlib.contextmanager
def redis():
    server = program("redis-server")
    user = ordinary_user("redis")
    with folder_of(user) as folder, folder_of({}) as logs:
        port = unused_port()
        command = [
            server,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            folder,
        ]
        with process(command, port, logs / "log", cwd=folder, **user):
            yield port

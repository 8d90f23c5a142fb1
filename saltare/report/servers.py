"""Servers that `saltare memory` starts and measures: saltare in several configurations, and others."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from ..errors import StartError
from ..prefork.worker_count import wanted_workers
from .imports import Amount, held, rollup

PATIENCE = 60.0  # seconds for a server to start
SETTLED = 1.0  # seconds before an idle server is weighed
PAUSE = 0.02
NOT_PARKED = " memory is not parked: "


class Weight:
    """A server's memory, over all its processes: idle, and after the requests; hot: touched by them. KiB."""

    __slots__ = ("hot", "idle", "note", "processes", "used")


def weigh(command, port, load, inherited=(), environment=None):
    """The Weight of the server that the command starts on the port. `load`: (paths, number of requests).

    StartError when it does not start. The descriptors in `inherited` are closed.
    """
    with tempfile.TemporaryFile("w+") as log:
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        popen = subprocess.Popen(command, env=environment, **streams, pass_fds=inherited, start_new_session=True)
        for fd in inherited:
            os.close(fd)
        try:
            wait_until_served(popen, port, log)
            time.sleep(SETTLED)
            return weighed(popen.pid, port, load, said(log))
        finally:
            end(popen)


def weighed(pid, port, load, log):
    weight = Weight()
    refusals = [line.partition(NOT_PARKED)[2] for line in log if NOT_PARKED in line]
    weight.note = f"not parked: {refusals[0]}" if refusals else ""
    weight.idle, weight.processes = of_all(pid)
    for one in family(pid):
        forget_references(one)
    ask(port, *load)
    weight.hot = sum(rollup(one, "smaps").get("Referenced", 0) for one in family(pid))
    weight.used, _ = of_all(pid)
    return weight


def of_all(pid):
    """(Amount of all processes together, their number). Shared memory counts once."""
    pids = family(pid)
    if len(pids) == 1:
        return held(pid), 1
    fields = [rollup(one) for one in pids]
    return Amount(sum(one["Pss"] for one in fields), sum(one["Pss_Anon"] for one in fields)), len(pids)


def family(pid):
    """A process and its descendants."""
    found = [pid]
    for one in found:
        for task in os.listdir(f"/proc/{one}/task"):
            with open(f"/proc/{one}/task/{task}/children") as children:
                found += map(int, children.read().split())
    return found


def forget_references(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("1")


def ask(port, paths, requests):
    """Requests each path in turn on one connection; ignores the responses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for number in range(requests):
        try:
            connection.request("GET", paths[number % len(paths)])
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens another one
    connection.close()


def wait_until_served(popen, port, log):
    """Waits for a reply to an invalid request, which no app sees: a server may listen before its app starts."""
    deadline = time.monotonic() + PATIENCE
    while popen.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as probe:
                probe.sendall(b"?\r\n\r\n")
                probe.recv(1)
            return
        except OSError:
            time.sleep(PAUSE)
    raise StartError(f"it did not start: {' '.join(said(log)[-1:]) or 'and said nothing'}")


def said(log):
    log.seek(0)
    return log.read().splitlines()


def end(popen):
    try:
        popen.send_signal(signal.SIGTERM)
        popen.wait(5)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(popen.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    popen.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- which servers -------------------------------------------------------------------------------------------------


class Saltare:
    """As configured, except for some values and interpreter flags."""

    def __init__(self, name, config, flags=(), **values):
        self.name, self.flags = name, flags
        self._values = {**config.values(), "uds_path": None, "fd": None, "bind": (), "host": "127.0.0.1", **values}
        self._sources = config.sources

    def weigh(self, load):
        from ..launch.interpreter import clean_interpreter

        port = free_port()
        code = "from saltare.launch.run import main; main({fd})"
        command, environment, fd = clean_interpreter(code, {**self._values, "port": port}, self._sources, self.flags)
        return weigh(command, port, load, [fd], environment)


class Peer:
    """Another server, with the same app and number of workers."""

    def __init__(self, name, config):
        self.name, self._config = name, config

    def weigh(self, load):
        port = free_port()
        return weigh(PEERS[self.name](self._config, str(port)), port, load)


def uvicorn(config, port):
    command = [sys.executable, "-m", "uvicorn", config.app, "--port", port, "--app-dir", config.app_dir]
    command += ["--log-level", "warning", "--workers", str(wanted_workers(config))]
    return command + ["--factory"] * config.factory


def granian(config, port):
    command = [sys.executable, "-m", "granian", config.app, "--interface", "asgi", "--port", port]
    command += ["--no-log", "--workers", str(wanted_workers(config)), "--working-dir", config.app_dir]
    return command + ["--factory"] * config.factory


PEERS = {"uvicorn": uvicorn, "granian": granian}


def variants(config, folder):
    """Servers with other options; `folder`: where to park memory."""
    if config.park_memory is None:
        yield Saltare("--park-memory DIR", config, memory="lean", park_memory=folder)
        if config.memory == "lean":
            yield Saltare("--memory safe", config, memory="safe")
    if config.supervised() and config.preload and config.workers != 1:
        yield Saltare("--no-preload", config, preload=False)
    yield Saltare("python -OO (no docstrings, no asserts)", config, ["-OO"])
    if sys.version_info >= (3, 11):
        yield Saltare("python -X no_debug_ranges", config, ["-X", "no_debug_ranges"])


def peers(config):
    from importlib.util import find_spec

    if config.app.endswith(":"):
        return []  # they do not search a module for the app
    return [Peer(name, config) for name in PEERS if find_spec(name) is not None]

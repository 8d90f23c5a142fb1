"""`uvicorn.supervisors`: servers in processes that a program starts by ChangeReload and Multiprocess."""

import os
import signal
import socket
import sys
import threading
import time

import httpx
import pytest

import saltare
from harness import wait_until
from saltare.compat.supervisors import PATIENCE
from saltare.options.config import LIFESPAN_PATIENCE
from saltare.prefork.failures import FIRST_PAUSE

AS_UVICORN = [sys.executable, "-m", "saltare.as_uvicorn"]

PROGRAM = """
import os, sys, uvicorn
from uvicorn.supervisors import ChangeReload, Multiprocess

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"%d VERSION" % os.getpid()})

if __name__ == "__main__":
    config = uvicorn.Config("program:app", port=0, lifespan="off", log_level="warning", OPTIONS)
    server = uvicorn.Server(config)
    sock = config.bind_socket()
    print(sock.getsockname()[1], flush=True)
    SUPERVISOR(config, target=server.run, sockets=[sock]).run()
    print("returned", flush=True)
"""


@pytest.fixture
def supervised(tmp_path, program):
    def start(supervisor, options):
        write(tmp_path, supervisor, options, "one")
        return program("program.py", command=AS_UVICORN, cwd=tmp_path)

    return start


def write(folder, supervisor, options, version):
    text = PROGRAM.replace("SUPERVISOR", supervisor).replace("OPTIONS", options).replace("VERSION", version)
    (folder / "program.py").write_text(text)


def ask(port):
    """The pid of the process that answers, and its version."""
    answer = []

    def answered():
        try:
            answer[:] = httpx.get(f"http://127.0.0.1:{port}").text.split()
        except httpx.TransportError:
            return False
        return True

    wait_until(answered)
    return int(answer[0]), answer[1]


def test_multiprocess(supervised):
    process = supervised("Multiprocess", "workers=2")
    port = process.line()
    pids = set()
    wait_until(lambda: pids.add(ask(port)[0]) or len(pids) == 2)
    assert process.pid not in pids

    killed = pids.pop()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: ask(port)[0] not in {killed, *pids})

    process.send_signal(signal.SIGHUP)
    wait_until(lambda: ask(port)[0] not in pids)
    code, out = process.end(signal.SIGTERM)
    assert (code, out) == (0, "returned\n"), process.errors


def test_change_reload(supervised, tmp_path):
    pytest.importorskip("watchfiles")
    process = supervised("ChangeReload", "reload=True")
    port = process.line()
    first, version = ask(port)
    assert version == "one"
    write(tmp_path, "ChangeReload", "reload=True", "two")
    wait_until(lambda: ask(port)[1] == "two")
    assert ask(port)[0] not in (first, process.pid)
    code, out = process.end(signal.SIGINT)
    assert (code, out) == (0, "returned\n"), process.errors


def wait_for_ever(sockets):
    signal.pause()


def test_should_exit_set_by_the_program():
    config = saltare.Config("no_such:app", workers=1, log_config=None)
    with socket.socket() as sock:
        supervisor = saltare.supervisors.Multiprocess(config, target=wait_for_ever, sockets=[sock])
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        wait_until(lambda: supervisor.processes)
        supervisor.should_exit.set()
        thread.join(30)
        assert not thread.is_alive()
        assert sock.fileno() == -1
    assert all(not process.is_alive() for process in supervisor.processes)


class Ended:
    """A process that ends when it is waited for."""

    def __init__(self):
        self.timeouts = []

    def join(self, timeout=None):
        self.timeouts.append(timeout)

    def is_alive(self):
        return False


@pytest.mark.parametrize(
    ("options", "timeout"),
    [
        ({"timeout_graceful_shutdown": None}, None),
        ({"timeout_graceful_shutdown": 10}, 10 + 10 + PATIENCE),
        ({"timeout_graceful_shutdown": 0}, pytest.approx(LIFESPAN_PATIENCE + PATIENCE, abs=0.01)),
    ],
)
def test_how_long_a_process_may_take_to_end(options, timeout):
    """As long as its requests and its lifespan may take."""
    config = saltare.Config("no_such:app", log_config=None, **options)
    supervisor, process = saltare.supervisors.ChangeReload(config, target=wait_for_ever), Ended()
    supervisor.end(process)
    assert process.timeouts == [timeout]


def end_at_once(sockets):
    sys.exit(1)


def test_a_process_that_keeps_ending_is_restarted_after_pauses():
    class Counting(saltare.supervisors.Multiprocess):
        def start(self):
            starts.append(time.monotonic())
            return super().start()

    starts = []
    supervisor = Counting(saltare.Config("no_such:app", workers=1, log_config=None), target=end_at_once)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    wait_until(lambda: len(starts) == 4)
    supervisor.should_exit.set()
    thread.join(30)
    assert not thread.is_alive()
    assert starts[3] - starts[2] >= 4 * FIRST_PAUSE

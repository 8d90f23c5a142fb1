"""What systemd is told over NOTIFY_SOCKET."""

import os
import signal
import socket

import pytest

from family import wait_for_workers, workers

WORKERS = pytest.mark.parametrize("count", ["1", "2"])


@pytest.fixture
def supervisor(tmp_path):
    """A socket as systemd's, and the environment for it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(30)
        receiver.bind(str(tmp_path / "notify"))
        yield Supervisor(receiver, {"NOTIFY_SOCKET": str(tmp_path / "notify")})


class Supervisor:
    def __init__(self, receiver, env):
        self.receiver, self.env = receiver, env

    def next(self):
        return self.receiver.recv(4096).decode()

    def expect(self, *states, among=()):
        """The next reports, apart from those that may come at any time."""
        for state in states:
            while (seen := self.next().partition("\n")[0]) in among:
                pass
            assert seen == state


@WORKERS
def test_ready_and_stopping(cli_server, supervisor, count):
    server = cli_server("worker_apps:app", "--workers", count, env=supervisor.env)
    supervisor.expect("READY=1")
    server.popen.send_signal(signal.SIGTERM)
    supervisor.expect("STOPPING=1")
    assert server.wait() == 0


@WORKERS
def test_a_reload(cli_server, supervisor, count):
    server = cli_server("worker_apps:app", "--workers", count, env=supervisor.env)
    supervisor.expect("READY=1")
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    seen = supervisor.next()
    assert seen.startswith("RELOADING=1\nMONOTONIC_USEC=")
    supervisor.expect("READY=1")
    if count == "2":
        wait_for_workers(server, 2, without=before)
    server.popen.send_signal(signal.SIGTERM)
    supervisor.expect("STOPPING=1")
    assert server.wait() == 0


@WORKERS
def test_a_reload_that_fails(cli_server, supervisor, tmp_path, count):
    (tmp_path / "main.py").write_text("from worker_apps import app\n")
    args = "main:app", "--app-dir", str(tmp_path), "--workers", count
    server = cli_server(*args, env={**supervisor.env, "PYTHONPATH": os.path.dirname(__file__)})
    supervisor.expect("READY=1")
    (tmp_path / "main.py").write_text("1 / 0\n")
    server.popen.send_signal(signal.SIGHUP)
    supervisor.expect("RELOADING=1", "READY=1")
    server.wait_for_log("serving the old code")
    assert server.stop() == 0


@WORKERS
def test_the_watchdog(cli_server, supervisor, count):
    env = {**supervisor.env, "WATCHDOG_USEC": "100000"}
    server = cli_server("worker_apps:app", "--workers", count, env=env)
    supervisor.expect("READY=1", among=["WATCHDOG=1"])
    supervisor.expect("WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1")
    server.popen.send_signal(signal.SIGTERM)
    supervisor.expect("STOPPING=1", among=["WATCHDOG=1"])
    assert server.wait() == 0


def test_a_watchdog_for_another_process(cli_server, supervisor):
    server = cli_server("worker_apps:app", env={**supervisor.env, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    supervisor.expect("READY=1")
    server.popen.send_signal(signal.SIGTERM)
    supervisor.expect("STOPPING=1")
    assert server.wait() == 0


def test_a_socket_that_nobody_reads(cli_server, raw, tmp_path):
    server = cli_server("worker_apps:app", env={"NOTIFY_SOCKET": str(tmp_path / "none")})
    assert server.stop() == 0

"""System calls of an idle server, and of one request, as strace reports them."""

import re
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter

import pytest

from harness import HANG

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

CALM = 3.7  # the clean-up after the last request is done by then, and no deadline of a head has come yet
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
READS, WRITES, WAITS = (
    {"read", "recvfrom", "recvmsg"},
    {"write", "sendto", "sendmsg", "writev"},
    {"epoll_wait", "epoll_pwait"},
)
# Calls of the Go runtime's own threads, which have nothing to do with a request.
OTHERS = {"futex", "nanosleep", "tgkill", "getpid", "rt_sigreturn", "sched_yield", "restart_syscall"}
LINE = re.compile(r"^\d+ +(\w+)\(", re.M)


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), HANG)
    client.sendall(GET)
    assert client.recv(65536).startswith(b"HTTP/1.1 200")
    return client


class Trace:
    """strace on a process and its threads; `calls` counts them by name afterwards."""

    def __init__(self, pid, log):
        self._log = log
        self._strace = subprocess.Popen(["strace", "-f", "-o", log, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        line = self._strace.stderr.readline()
        if "attached" not in line:
            self._strace.wait(HANG)
            pytest.skip(f"strace cannot attach: {line.strip()}")

    def __enter__(self):
        time.sleep(0.5)
        self._before = len(LINE.findall(self._log.read_text()))
        return self

    def __exit__(self, *exc):
        self._strace.send_signal(signal.SIGINT)
        self._strace.communicate(timeout=HANG)
        self.calls = Counter(LINE.findall(self._log.read_text())[self._before :])


def test_an_idle_server_makes_none(cli_server, tmp_path):
    server = cli_server("app_raw:app", "--keep-alive-timeout", 60)
    clients = [connect(server.port) for _ in range(100)]
    time.sleep(CALM)
    with Trace(server.pid, tmp_path / "trace") as trace:
        time.sleep(3)
    for client in clients:
        client.close()
    assert not trace.calls


def test_a_request_costs_a_read_and_a_write(cli_server, tmp_path):
    server = cli_server("app_raw:app")
    client = connect(server.port)
    asked = 200
    with Trace(server.pid, tmp_path / "trace") as trace:
        for _ in range(asked):
            client.sendall(GET)
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
    client.close()
    calls = trace.calls
    assert sum(calls[name] for name in READS) == asked
    assert sum(calls[name] for name in WRITES) == asked
    assert sum(calls[name] for name in WAITS) <= asked + 2
    assert set(calls) <= READS | WRITES | WAITS | OTHERS

"""Servers started by the lines of other servers: values mean what they mean there."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from family import workers
from harness import HANG, wait_until

HERE = os.path.dirname(__file__)
GET = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"


def test_a_keep_alive_of_0_closes_after_each_response(cli_server, raw):
    server = cli_server("drain_apps:app", "--timeout-keep-alive", "0")
    client = raw(server).send(GET % b"quick")
    assert client.read_response().get("connection") == "close"
    assert client.read_all() == b""


@pytest.mark.parametrize("more", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_a_graceful_shutdown_of_0_cancels_at_once_and_the_lifespan_ends(cli_server, raw, more):
    server = cli_server("drain_apps:app", "--timeout-graceful-shutdown", "0", *more, env={"SHUTDOWN": "slow"})
    client = raw(server).send(GET % b"endless")
    client.read_until(b"begun ")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 10
    assert "requests in progress are cancelled: 1" in server.logs()
    assert server.logs().count("shutdown took its time") == (2 if more else 1)
    assert "lifespan shutdown is cancelled" not in server.logs()


def test_web_concurrency(cli_server, raw):
    server = cli_server("drain_apps:app", env={"WEB_CONCURRENCY": "2"})
    assert len(workers(server)) == 2
    assert server.stop() == 0


def test_a_line_of_gunicorn(cli_server, raw):
    line = "-w 2 -k uvicorn.workers.UvicornWorker --timeout 120 --graceful-timeout 5 --max-requests 100000 --error-logfile -"
    server = cli_server("drain_apps:app", *line.split())
    assert len(workers(server)) == 2
    assert raw(server).send(GET % b"quick").read_response().body == b"quick"
    assert server.stop() == 0


def test_a_factory_by_its_call(cli_server, raw, tmp_path):
    (tmp_path / "made.py").write_text("from drain_apps import app\ndef make():\n    return app\n")
    server = cli_server("made:make()", "--app-dir", str(tmp_path), env={"PYTHONPATH": HERE})
    assert raw(server).send(GET % b"quick").read_response().body == b"quick"


def test_a_port_in_use_has_uvicorns_exit_code():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for more in ([], ["--workers", "2"]):
            line = ["drain_apps:app", "-b", f"127.0.0.1:{taken.getsockname()[1]}", *more]
            done = subprocess.run(
                [sys.executable, "-m", "saltare", *line], cwd=HERE, capture_output=True, text=True, timeout=HANG
            )
            assert done.returncode == 3
            assert "the port is in use" in done.stderr


def test_what_uvicorn_serves_is_not_refused(cli_server, raw, tmp_path):
    """A body of 2 MiB, a head of 60 KiB, and a Unix socket for everybody."""
    path = tmp_path / "socket"
    cli_server("drain_apps:app", "--uds", str(path))
    assert path.stat().st_mode & 0o777 == 0o666
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        body = bytes(2 << 20)
        head = b"POST /quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: %s\r\nContent-Length: %d\r\n\r\n"
        client.sendall(head % (b"x" * 60_000, len(body)) + body)
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_stop_by_signal_is_the_same_for_all_of_them(cli_server):
    server = cli_server("drain_apps:app", "--interface", "asgi3", "--http", "h11")
    server.popen.send_signal(signal.SIGTERM)
    wait_until(lambda: server.popen.poll() is not None, server.logs)
    assert server.popen.returncode == 0

"""Sockets that others open and pass on, with --fd or by systemd, and sockets that several servers share."""

import collections
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest

from family import Load, wait_for_workers, workers
from harness import has_ipv6, wait_until
from rawsocket import Raw

WORKERS = pytest.mark.parametrize("options", [[], ["--workers", "2"]], ids=["single", "workers"])


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def ask(address, target="/pid"):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(30)
        client.connect(address)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")[2]


def hup(server):
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    return wait_for_workers(server, len(before), without=before)


# ---- systemd ----


@pytest.fixture
def activated(request, tmp_path):
    """Starts a server as systemd does: sockets from descriptor 3 on, LISTEN_PID set to the process's own pid."""
    started = []

    def start(sockets, *args, command=None, env=None):
        copies = [os.dup(one.fileno()) for one in sockets]
        code = (
            "import os, sys\n"
            f"for place, fd in enumerate({[100 + at for at in range(len(copies))]}, 3):\n"
            "    os.dup2(fd, place, inheritable=True); os.close(fd)\n"
            f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='{len(copies)}', LISTEN_FDNAMES='web')\n"
            "os.execvp(sys.argv[1], sys.argv[1:])"
        )
        high = []
        for at, fd in enumerate(copies):
            os.dup2(fd, 100 + at)
            os.close(fd)
            high.append(100 + at)
        log = open(tmp_path / f"activated-{len(started)}", "w+")
        command = command or [sys.executable, "-m", "saltare", "worker_apps:app", *args]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *command],
            cwd=request.path.parent,
            pass_fds=high,
            stderr=log,
            env={**os.environ, **(env or {})},
        )
        for fd in high:
            os.close(fd)
        process.logs = lambda: (log.seek(0), log.read())[1]
        started.append((process, log))
        wait_until(lambda: "listening on" in process.logs() or process.poll() is not None)
        return process

    yield start
    for process, log in started:
        if process.poll() is None:
            process.terminate()
            assert process.wait(30) == 0, process.logs()
        log.close()


@WORKERS
def test_systemd_passes_sockets(activated, options, tmp_path):
    """Two sockets; the app sees none of it, and the variables do not reach programs it starts."""
    path = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        server = activated([tcp, unix], *options)
        for address in (tcp.getsockname(), path):
            seen = json.loads(ask(address, "/where"))
            assert seen["passed"] == []
        assert f"http://127.0.0.1:{tcp.getsockname()[1]}, unix:{path}" in server.logs()
        server.terminate()
        assert server.wait(30) == 0
        assert os.path.exists(path)  # it belongs to systemd


def test_systemd_sockets_are_kept_over_sighup(activated):
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        server = activated([tcp], "--workers", "2")
        server.popen = server
        before = workers(server)
        for _ in range(2):
            before = hup(server)
            assert int(ask(tcp.getsockname())) in before
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


def test_what_queues_before_the_start_is_served(activated):
    """The purpose of socket activation: a client may connect first."""
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        early = Raw(tcp.getsockname()[1]).get("/pid")
        activated([tcp], "--workers", "2")
        assert early.read_response().status == 200
        early.close()


def test_an_address_that_was_asked_for_gives_way_with_a_warning(activated):
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        server = activated([tcp], "--port", "9")
        assert "listening on the sockets that systemd passes, not as" in server.logs()
        assert ask(tcp.getsockname())


@pytest.mark.parametrize("pid", ["1", "0", "", "x"])
def test_variables_for_another_process_are_left_alone(cli_server, raw, pid):
    server = cli_server("worker_apps:app", env={"LISTEN_PID": pid, "LISTEN_FDS": "1"})
    assert sorted(json.loads(raw(server).get("/where").read_response().body)["passed"]) == ["LISTEN_FDS", "LISTEN_PID"]


# ---- --fd, --bind, --uds ----


@WORKERS
def test_an_inherited_descriptor(cli_server, options):
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        server = cli_server("worker_apps:app", "--fd", tcp.fileno(), *options, pass_fds=[tcp.fileno()])
        assert server.port == tcp.getsockname()[1]
        assert ask(tcp.getsockname())
        if options:
            hup(server)
            assert ask(tcp.getsockname())
        assert server.stop() == 0


@WORKERS
@ipv6
def test_several_addresses(cli_server, options, tmp_path):
    path = tmp_path / "socket"
    server = cli_server(
        "worker_apps:app", "--bind", "127.0.0.1:0", "--bind", "[::1]:0", "--bind", f"unix:{path}", *options
    )
    urls = server.logs().partition("listening on ")[2].partition(" (pid")[0].split(", ")
    assert len(urls) == 3
    ports = [int(url.rpartition(":")[2]) for url in urls[:2]]
    everywhere = [("127.0.0.1", ports[0]), ("::1", ports[1]), str(path)]
    assert all(map(ask, everywhere))
    if options:
        hup(server)
        assert all(map(ask, everywhere))
    assert server.stop() == 0
    assert not path.exists()


@WORKERS
def test_a_unix_socket_with_permissions(cli_server, options, tmp_path):
    """They exist from the first moment and stay open over SIGHUP; the socket's name is removed with the server."""
    path = tmp_path / "socket"
    server = cli_server("worker_apps:app", "--uds", path, "--uds-permissions", "600", *options)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if options:
        inode = path.stat().st_ino
        hup(server)
        assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (inode, 0o600)
    assert ask(str(path))
    assert server.stop() == 0
    assert not path.exists()


def test_a_stale_unix_socket_of_a_killed_master_is_replaced(cli_server, tmp_path):
    path = tmp_path / "socket"
    server = cli_server("worker_apps:app", "--workers", "2", "--uds", path)
    server.popen.kill()
    server.wait()
    assert path.exists()
    wait_until(lambda: not workers(server))
    server = cli_server("worker_apps:app", "--workers", "2", "--uds", path)
    assert ask(str(path))


def test_the_name_of_a_killed_worker_stays(cli_server, raw, tmp_path):
    path = tmp_path / "socket"
    server = cli_server("worker_apps:app", "--workers", "2", "--uds", path)
    raw(server).get("/leaves/0").read_all()
    assert path.exists()
    assert ask(str(path))


def test_port_zero_stays_the_same_over_sighup(cli_server):
    server = cli_server("worker_apps:app", "--workers", "2")
    assert server.port > 0
    hup(server)
    assert ask(("127.0.0.1", server.port))


def test_two_servers_share_a_port(cli_server, free_port):
    """With reuse_port both servers get connections; without it the second one is refused."""
    first = cli_server("worker_apps:app", "--workers", "2", "--reuse-port", "--port", free_port)
    second = cli_server("worker_apps:app", "--reuse-port", "--port", free_port)
    served = collections.Counter(int(ask(("127.0.0.1", free_port))) for _ in range(60))
    assert served[second.pid] > 0
    assert sum(served[pid] for pid in workers(first)) > 0
    assert first.stop() == 0
    assert {int(ask(("127.0.0.1", free_port))) for _ in range(10)} == {second.pid}
    command = [sys.executable, "-m", "saltare", "worker_apps:app", "--port", str(free_port)]
    done = subprocess.run(command, cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "the port is in use" in done.stderr


def test_a_load_on_all_kinds_of_sockets_at_once(cli_server, tmp_path):
    """With a rolling restart meanwhile."""
    path = tmp_path / "socket"
    server = cli_server("worker_apps:app", "--workers", "2", "--bind", "127.0.0.1:0", "--bind", f"unix:{path}")

    class Unix:
        url = f"unix:{path}"

    with Load(server, clients=3) as tcp, Load(Unix, clients=3, keep=False) as unix:
        hup(server)
        tcp.wait_for_more(50)
        unix.wait_for_more(50)
    assert tcp.failures == unix.failures == []


# ---- a child inherits none of this; see test_children.py ----


def test_threads_that_connect_while_it_starts(cli_server, free_port):
    """Connections are refused or served: no client hangs."""
    outcomes = []

    def knock():
        while "served" not in outcomes:
            try:
                ask(("127.0.0.1", free_port))
                outcomes.append("served")
            except OSError:
                outcomes.append("refused")

    threads = [threading.Thread(target=knock) for _ in range(3)]
    for thread in threads:
        thread.start()
    cli_server("worker_apps:app", "--workers", "2", "--port", free_port)
    for thread in threads:
        thread.join(30)
    assert "served" in outcomes

"""A master and its workers: the processes, and which worker serves what."""

import collections
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from family import (
    children,
    command_line,
    maps,
    name,
    state,
    wait_for_end,
    wait_for_workers,
    workers,
)
from harness import wait_until

CONNECTION_COUNTS = [8, 64]


def look(client):
    return json.loads(client.get("/where").read_response().body)


# ---- the master ----


def test_the_master_never_loads_the_core(cli_server):
    server = cli_server("worker_apps:app", "--workers", "2")
    assert "_core" not in maps(server.pid)
    pids = wait_for_workers(server, 2)
    assert all("_core" in maps(pid) for pid in pids)
    server.popen.send_signal(signal.SIGHUP)
    wait_for_workers(server, 2, without=pids)
    assert "_core" not in maps(server.pid)


def test_start_up_is_one_line(cli_server):
    server = cli_server("worker_apps:app", "--workers", "3")
    assert len(workers(server)) == 3  # all serve once the line is written
    (line,) = server.logs().splitlines()
    assert f"(pid {server.pid}, 3 workers, " in line


def test_zero_workers_are_as_many_as_there_are_cpus(cli_server):
    server = cli_server("worker_apps:app", "--workers", "0")
    assert len(workers(server)) == min(4, len(os.sched_getaffinity(0)))


def test_preload_imports_once(cli_server, raw, marks):
    server = cli_server("worker_apps:app", "--workers", "3", env=marks.env)
    assert marks("import") == 1
    assert marks("startup") == 3
    seen = look(raw(server))
    assert seen["imported_by"] == seen["parent"] == server.pid
    assert seen["frozen"] > 0
    assert server.stop() == 0
    assert marks("shutdown") == 3


def test_without_preload_each_worker_imports(cli_server, raw, marks):
    server = cli_server("worker_apps:app", "--workers", "3", "--no-preload", env=marks.env)
    assert marks("import") == marks("startup") == 3
    seen = look(raw(server))
    assert seen["imported_by"] == seen["pid"] != server.pid


def test_a_worker_is_a_process_as_any_other(cli_server, raw):
    """The master blocks no signal, SIGCHLD is unchanged, and its environment has nothing of the master's."""
    seen = look(raw(cli_server("worker_apps:app", "--workers", "2")))
    assert seen["blocked"] == []
    assert seen["wakeup"]
    assert seen["passed"] == []


def test_titles(cli_server):
    server = cli_server("worker_apps:app", "--workers", "2")
    first, second = workers(server)
    assert [name(server.pid), name(first), name(second)] == ["saltare:master", "saltare:wkr1", "saltare:wkr2"]
    assert command_line(server.pid) == "saltare:master worker_apps:app"
    assert command_line(first) == "saltare:wkr1 worker_apps:app"


def test_the_title_of_a_single_process(cli_server):
    server = cli_server("worker_apps:app")
    assert name(server.pid) == "saltare"
    assert children(server.pid) == []


def test_an_idle_master_makes_no_system_call(cli_server):
    """Each end of a wait counts as a voluntary context switch."""
    server = cli_server("worker_apps:app", "--workers", "2")

    def switches():
        lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
        return [line for line in lines if line.startswith("voluntary")]

    wait_until(lambda: state(server.pid) == "S")
    before = switches()
    time.sleep(1.2)
    assert switches() == before


def test_threads_at_import_are_named(cli_server, raw):
    """A user who asks for the fork gets it."""
    server = cli_server("worker_apps:app", "--workers", "2", "--preload", env={"THREAD": "1"})
    server.wait_for_log("has started threads at import (of-the-app)")
    assert "--no-preload" in server.logs()
    assert look(raw(server))["threads"] == ["MainThread"]


def test_without_preload_a_worker_has_the_threads_of_the_import(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "2", "--no-preload", env={"THREAD": "1"})
    assert look(raw(server))["threads"] == ["MainThread", "of-the-app"]
    assert "threads at import" not in server.logs()


def test_nobody_survives_a_killed_master(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "3")
    pids = workers(server)
    raw(server).get("/sleeps/60")
    server.popen.kill()
    wait_for_end(pids)
    server.wait()


def test_nobody_survives_a_master_killed_while_it_starts(cli_server, marks, request):
    """Workers that are in the middle of their start-up."""
    command = [sys.executable, "-m", "saltare", "worker_apps:app", "--workers", "2", "--port", "0"]
    env = {**os.environ, **marks.env, "STARTUP": "hangs"}
    master = subprocess.Popen(command, cwd=request.path.parent, env=env)
    wait_until(lambda: marks("startup") == 2)
    pids = children(master.pid)
    assert len(pids) == 2
    master.kill()
    master.wait()
    wait_for_end(pids)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_process_one_it_reaps_orphans(request, tmp_path):
    """In a PID namespace, as in a container: orphans of an app become children of process 1."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("unshare is not allowed here")
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    done = subprocess.run(
        [*unshare, sys.executable, script], cwd=request.path.parent, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "pid 1, zombies []", done.stdout + done.stderr


ORPHANS = """
import os, subprocess, threading, time
import saltare

async def app(scope, receive, send):
    if os.fork() == 0:  # its child is an orphan at once
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})

def is_zombie(pid):
    try:
        return ") Z 1 " in open(f"/proc/{pid}/stat").read()
    except (FileNotFoundError, ProcessLookupError):
        return False  # reaped since it was listed

def ask():
    try:
        look()
    finally:
        server.shutdown()

def look():
    import http.client
    while not server.started:
        time.sleep(0.01)
    for _ in range(10):
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    for _ in range(500):
        zombies = [name for name in os.listdir("/proc") if name.isdigit() and is_zombie(name)]
        if not zombies:
            break
        time.sleep(0.01)
    print(f"pid {os.getpid()}, zombies {zombies}", flush=True)

server = saltare.Server(app, workers=2, port=0, lifespan="off", log_level="error")
threading.Thread(target=ask, daemon=True).start()
server.run()
"""


# ---- which worker serves what ----


def shares(clients, rounds=6):
    """How many responses each worker gave, most first."""
    for _ in range(rounds):
        for client in clients:
            client.get("/pid")
        served = collections.Counter(client.read_response().body for client in clients)
    return [count for _, count in served.most_common()]


@pytest.mark.parametrize("count", CONNECTION_COUNTS)
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_connections_are_spread(cli_server, raw, tmp_path, count, unix):
    """The busiest worker serves at most 1.5 times the mean."""
    where = ["--uds", tmp_path / "socket"] if unix else []
    server = cli_server("worker_apps:app", "--workers", "4", "--keep-alive-timeout", "30", *where)
    clients = []
    for _ in range(count):
        clients.append(raw(server))
        clients[-1].get("/pid").read_response()
    assert shares(clients)[0] <= 1.5 * count / 4


@pytest.mark.parametrize("count", CONNECTION_COUNTS)
def test_connections_that_come_all_at_once_are_spread(cli_server, raw, count):
    """As a load generator or a proxy opens them."""
    server = cli_server("worker_apps:app", "--workers", "4", "--keep-alive-timeout", "30")
    clients = [raw(server) for _ in range(count)]
    assert shares(clients)[0] <= 1.5 * count / 4


def test_a_stuck_worker_gets_no_new_connections(cli_server, raw):
    """One handler blocks its loop: the other workers take everything meanwhile."""
    server = cli_server("worker_apps:app", "--workers", "4")
    stuck = raw(server)
    held_up = stuck.get("/pid").read_response().body
    stuck.get("/blocks/3")
    time.sleep(0.05)
    served = [raw(server).get("/pid").read_response().body for _ in range(40)]
    assert held_up not in served
    assert len(set(served)) == 3
    assert stuck.read_response().body == held_up


def test_a_connection_does_not_wait_for_a_worker_that_gets_stuck(cli_server, raw, marks):
    """It may be left to the worker with fewer, which has just entered a long handler; then it is accepted after all."""
    server = cli_server("worker_apps:app", "--workers", "2", "--keep-alive-timeout", "30", env=marks.env)
    first = raw(server)
    light = first.get("/pid").read_response().body
    others = [raw(server)]
    while others[-1].get("/pid").read_response().body == light:  # the other worker may still be finishing its start
        others.append(raw(server))
    for number in range(1, 4):
        first.get("/blocks/1")
        while marks("blocks") < number:
            pass
        others.append(raw(server).get("/pid"))
        assert others[-1].read_response().body != light
        assert first.read_response().body == light

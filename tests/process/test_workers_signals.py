"""Signals to a master and its workers; workers started by a program; many starts and stops."""

import os
import signal
import subprocess
import sys
import time

import pytest

from family import (
    alive,
    children,
    descriptors,
    wait_for_rolls,
    wait_for_workers,
    workers,
)
from harness import wait_until
from rawsocket import Raw

# ---- signals to all processes ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_is_in_flight(cli_server, raw, number):
    server = cli_server("worker_apps:app", "--workers", "2")
    pids = workers(server)
    asking = [raw(server).get("/sleeps/0.5") for _ in range(6)]
    idle = raw(server)
    assert idle.get("/pid").read_response().status == 200
    server.popen.send_signal(number)
    answers = [client.read_response() for client in asking]
    assert [(one.status, one.get("connection")) for one in answers] == [(200, "close")] * 6
    assert idle.read_all() == b""
    assert server.wait() == 0
    assert not any(map(alive, pids))


def test_an_interrupt_of_the_terminal_reaches_all_and_stops_gracefully(cli_server, raw):
    """Ctrl+C goes to the whole process group."""
    server = cli_server("worker_apps:app", "--workers", "2", start_new_session=True)
    asking = raw(server).get("/sleeps/0.5")
    idle = raw(server)
    idle.get("/pid").read_response()
    os.killpg(server.pid, signal.SIGINT)
    assert asking.read_response().status == 200
    assert server.wait() == 0
    assert "Traceback" not in server.logs()


def test_nobody_is_accepted_while_it_stops(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "2")
    asking = raw(server).get("/sleeps/2")
    time.sleep(0.1)
    server.popen.send_signal(signal.SIGTERM)

    def refused():
        try:
            Raw(server).close()
        except (ConnectionRefusedError, ConnectionResetError):
            return True
        return False

    wait_until(refused)
    assert asking.read_response().status == 200
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(cli_server, raw, number):
    server = cli_server("worker_apps:app", "--workers", "2")
    pids = workers(server)
    asking = raw(server)
    asking.get("/pid").read_response()
    asking.get("/sleeps/60")
    time.sleep(0.1)
    server.popen.send_signal(number)
    time.sleep(0.2)
    assert server.popen.poll() is None
    server.popen.send_signal(number)
    assert server.wait() == 1
    assert b" 200 " not in asking.read_all()
    assert not any(map(alive, pids))


def test_a_worker_that_hangs_is_killed_in_the_end(cli_server, raw):
    """A worker that does not even react to a signal."""
    server = cli_server("worker_apps:app", "--workers", "2", "--shutdown-timeout", "100ms")
    (stuck,) = workers(server)[:1]
    os.kill(stuck, signal.SIGSTOP)
    assert server.stop() == 1
    server.wait_for_log("did not end in time: killing it")
    assert not alive(stuck)


def test_one_more_and_one_fewer(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "2")
    first, second = workers(server)
    server.popen.send_signal(signal.SIGTTIN)
    third = wait_for_workers(server, 3)[2]
    server.wait_for_log("workers wanted: 3")
    wait_for_rolls(server, 1)
    wait_until(lambda: raw(server).get("/pid").read_response().body == str(third).encode())
    asking = [raw(server).get("/sleeps/0.5") for _ in range(9)]
    server.popen.send_signal(signal.SIGTTOU)
    assert {client.read_response().status for client in asking} == {200}
    assert wait_for_workers(server, 2) == [first, second]
    for _ in range(3):  # the last one stays
        server.popen.send_signal(signal.SIGTTOU)
        time.sleep(0.1)
    wait_for_workers(server, 1)
    assert raw(server).get("/pid").read_response().body == str(first).encode()


def test_more_than_there_are_slots_for_is_refused(cli_server):
    server = cli_server("worker_apps:app", "--workers", "1", "--limit-max-requests", "100000")
    for count in range(2, 10):
        server.popen.send_signal(signal.SIGTTIN)
        wait_for_workers(server, count)
    server.popen.send_signal(signal.SIGTTIN)
    server.wait_for_log("there is no room for 10 workers")
    assert len(workers(server)) == 9


# ---- started by a program ----


def script(tmp_path, text):
    path = tmp_path / "program.py"
    path.write_text(f"import os, threading, time\nimport saltare\n{APP}\n{text}")
    return subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)


APP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"here"})

def get(url):
    import urllib.request
    return urllib.request.urlopen(url, timeout=20).read()
"""


def test_server_run_with_workers(tmp_path):
    done = script(
        tmp_path,
        """
server = saltare.Server(app, workers=2, port=0, lifespan="off")
print(server.started, server.url)

def use():
    while not server.started:
        time.sleep(0.01)
    print(get(server.url), server.url.startswith("http://127.0.0.1:"))
    server.shutdown()

for _ in range(2):  # it can be run again
    thread = threading.Thread(target=use)
    thread.start()
    server.run()
    thread.join()
    print(server.started, server.graceful)
""",
    )
    assert done.stdout.splitlines() == ["False None", *["b'here' True", "False True"] * 2], done.stdout + done.stderr
    assert done.returncode == 0


def test_run_with_workers(tmp_path):
    done = script(
        tmp_path,
        """
import signal
def use():
    time.sleep(0.2)
    while b"listening" not in open(2, "rb", closefd=False).read() if False else not started():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

def started():
    try:
        return get(f"http://127.0.0.1:{port}") == b"here"
    except OSError:
        return False

import socket
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
threading.Thread(target=use, daemon=True).start()
saltare.run(app, workers=2, port=port, lifespan="off")
print("returned", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
""",
    )
    assert done.stdout.splitlines() == ["returned True True"], done.stdout + done.stderr
    assert done.returncode == 0


def test_only_run_has_workers(tmp_path):
    done = script(
        tmp_path,
        """
import asyncio
server = saltare.Server(app, workers=2, port=0)
try:
    asyncio.run(server.serve())
except saltare.ConfigError as error:
    print("ConfigError", error)
try:
    with saltare.running(app, workers=2, port=0):
        pass
except saltare.StartError as error:
    print("StartError", error)
with saltare.running(app, port=0, lifespan="off"):
    pass
try:
    server.run()
except saltare.StartError as error:
    print("StartError", error)
""",
    )
    config, thread, go = done.stdout.splitlines()
    assert config.startswith("ConfigError serve() runs in one process")
    assert thread.startswith("StartError run() forks workers, so it must be called in the main thread")
    assert go.startswith("StartError a process that has served itself cannot fork workers")


# ---- many starts and stops ----

STARTS = int(os.environ.get("TEST_STARTS", 20))  # 1,000 for a long run


def test_starts_and_stops_leave_nothing(tmp_path, request):
    """In one process, whose descriptors can be counted; each time all workers are gone at the end."""
    done = script(
        tmp_path,
        f"""
path = {str(tmp_path / "socket")!r}
def use(server):
    while not server.started:
        time.sleep(0.005)
    server.shutdown()

before = None
for number in range({STARTS}):
    server = saltare.Server(app, workers=2, lifespan="off", log_level="error", **(dict(uds_path=path) if number % 2 else dict(port=0)))
    thread = threading.Thread(target=use, args=[server])
    thread.start()
    server.run()
    thread.join()
    left = len(os.listdir("/proc/self/fd")), os.path.exists(path), os.system(f"pgrep -P {{os.getpid()}} sleep") == 0
    try:
        os.waitpid(-1, os.WNOHANG)
        print("children")
    except ChildProcessError:
        pass
    before = before or left
    if left != before:
        print(number, before, left)
print("over")
""".replace('os.system(f"pgrep -P {os.getpid()} sleep") == 0', "threading.active_count()"),
    )
    assert done.stdout.splitlines() == ["over"], done.stdout + done.stderr


def test_replacing_workers_leaves_nothing_in_the_master(cli_server):
    server = cli_server("worker_apps:app", "--workers", "1", "--limit-max-requests", "1000000", "--no-preload")
    pids = workers(server)
    before = descriptors(server.pid)
    for count in range(1, 6):
        server.popen.send_signal(signal.SIGHUP)
        pids = wait_for_workers(server, 1, without=pids)
        wait_for_rolls(server, count)
    wait_until(lambda: len(children(server.pid)) == 1 and descriptors(server.pid) <= before)

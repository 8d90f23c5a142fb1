"""SIGHUP to a single process: it drains, and continues with the code on disk on the same sockets."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from family import Load, children, descriptors, maps
from harness import wait_until
from rawsocket import Raw

ROLLS = int(os.environ.get("TEST_ROLLS", 2))
APP = """
import atexit, os, sys
atexit.register(print, "at exit", file=sys.stderr, flush=True)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(VERSION))]})
    await send({"type": "http.response.body", "body": VERSION})
"""
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.fixture
def edited(tmp_path):
    def write(version, text=APP):
        path = tmp_path / "edited.py"
        path.write_text(f"VERSION = {version.encode()!r}\n{text}")
        write.stamp += 2  # a .pyc is trusted when second and size are equal
        os.utime(path, (write.stamp, write.stamp))

    write.stamp, write.folder = 1_700_000_000, tmp_path
    write("first")
    return write


def version(server):
    with Raw(server) as client:
        return client.get("/", "Connection: close").read_response().body.decode()


def renew(server, edited, name):
    edited(name)
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: version(server) == name, server.logs)


@LOOPS
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_no_request_is_lost(cli_server, edited, unix, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    path = edited.folder / "socket"
    where = ["--uds", path, "--uds-permissions", "600"] if unix else []
    server = cli_server("edited:app", "--loop", loop, *where, cwd=edited.folder)
    with Load(server, clients=4) as kept, Load(server, clients=2, keep=False) as closing:
        for number in range(ROLLS):
            renew(server, edited, f"roll {number}")
            kept.wait_for_more(20)
    assert kept.failures == closing.failures == []
    assert server.logs().count("at exit") == 2 * ROLLS  # of the trial and of the process
    assert server.stop() == 0
    assert not path.exists()


def test_nothing_gathers(cli_server, edited):
    server = cli_server("edited:app", cwd=edited.folder)
    renew(server, edited, "second")
    before = descriptors(server.pid)
    for number in range(3):
        renew(server, edited, f"again {number}")
    wait_until(lambda: descriptors(server.pid) <= before and not children(server.pid))


def test_a_broken_app_changes_nothing(cli_server, edited):
    server = cli_server("edited:app", cwd=edited.folder)
    edited("broken", "def app(:")
    server.popen.send_signal(signal.SIGHUP)
    server.wait_for_log("the server keeps serving the old code")
    assert "SyntaxError" in server.logs()
    assert version(server) == "first"
    renew(server, edited, "mended")
    assert server.stop() == 0


def test_requests_in_progress_are_finished(cli_server, raw):
    server = cli_server("worker_apps:app")
    asking = raw(server).get("/sleeps/1.5")
    server.popen.send_signal(signal.SIGHUP)
    server.wait_for_log("trying the new code")
    assert asking.read_response().status == 200
    wait_until(lambda: server.logs().count("listening on") == 2)
    assert raw(server).get("/pid").read_response().body == str(server.pid).encode()


def test_what_takes_too_long_is_cut(cli_server, raw):
    """And does not delay the new program's start."""
    server = cli_server("worker_apps:app", "--shutdown-timeout", "1s")
    asking = raw(server).get("/sleeps/60")
    server.popen.send_signal(signal.SIGHUP)
    assert b" 200 " not in asking.read_all()
    wait_until(lambda: server.logs().count("listening on") == 2)
    assert raw(server).get("/pid").read_response().body == str(server.pid).encode()
    assert server.stop() == 0


def with_in_each_request(line):
    return APP.replace(
        '    await send({"type": "http.response.start"', f'    {line}\n    await send({{"type": "http.response.start"'
    )


def test_a_stop_while_it_drains_is_a_stop(cli_server, edited, raw):
    edited(
        "first",
        f"import asyncio\n{with_in_each_request('while not os.path.exists(`go`): await asyncio.sleep(0.05)')}".replace(
            "`", "'"
        ),
    )
    server = cli_server("edited:app", cwd=edited.folder)
    asking = raw(server).get("/", "Connection: close")
    server.popen.send_signal(signal.SIGHUP)
    server.wait_for_log("stopping: SIGHUP")
    server.popen.send_signal(signal.SIGTERM)
    (edited.folder / "go").touch()
    assert asking.read_response().status == 200
    assert server.wait() == 0
    assert server.logs().count("listening on") == 1


# The app of a program that is about to replace another: it then does what is selected here.
MEANWHILE = """
def meanwhile():
    if "armed" in globals():
        WHAT

atexit.register(meanwhile)
"""
ARM = "globals()['armed'] = True"
NOT_BLOCKED = "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"  # a thread that receives signals


@pytest.mark.parametrize("thread", ["", NOT_BLOCKED], ids=["alone", "with a thread"])
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_stop_between_the_drain_and_the_new_program_is_a_stop(cli_server, edited, number, thread):
    kill = f"os.kill(os.getpid(), signal.{number})"
    text = f"import atexit, os, signal, threading, time\n{thread}\n{MEANWHILE.replace('WHAT', kill)}{with_in_each_request(ARM)}"
    edited("first", text)
    server = cli_server("edited:app", cwd=edited.folder)
    assert version(server) == "first"
    server.popen.send_signal(signal.SIGHUP)
    assert server.wait() == 0
    assert server.logs().count("listening on") == 1
    assert server.logs().endswith(f"stopping: {number}\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_threads_are_waited_for_is_a_stop(cli_server, raw, number):
    """Threads that continue are left behind, as after any second signal."""
    server = cli_server("ending_apps:app", "--shutdown-timeout", "0")
    raw(server).get("/thread", "Connection: close").read_all()
    server.popen.send_signal(signal.SIGHUP)
    server.wait_for_log("waiting for threads that have not ended: sleeper")
    server.popen.send_signal(number)
    assert server.wait() == 1
    assert f"stopping: {number.name}" in server.logs() and server.logs().count("listening on") == 1


def test_a_stop_while_the_new_program_starts_is_a_stop(cli_server, edited):
    server = cli_server("edited:app", cwd=edited.folder)
    kill = "if '_SALTARE_TRIAL' not in os.environ: os.kill(os.getpid(), signal.SIGTERM)"
    edited("second", f"import atexit, os, signal\nTRIAL\n{APP}".replace("TRIAL", kill))
    server.popen.send_signal(signal.SIGHUP)
    assert server.wait() == 0


def test_a_stop_while_it_is_tried_is_a_stop(cli_server):
    server = cli_server("worker_apps:app")
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: children(server.pid))
    assert server.stop() == 0


@pytest.mark.parametrize(("before", "after"), [(1, 3), (2, 1)])
def test_another_number_of_workers(cli_server, edited, before, after):
    """From one process to a master and back: a master stays, but with one worker."""
    path = edited.folder / "config.toml"
    path.write_text(f"workers = {before}\n")
    server = cli_server("edited:app", "--config", "config.toml", cwd=edited.folder)
    with Load(server, clients=3) as load:
        path.write_text(f"workers = {after}\n")
        edited("second")
        server.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: version(server) == "second", server.logs)
        wait_until(lambda: len(children(server.pid)) == after, server.logs)
        load.wait_for_more()
    assert load.failures == []
    assert "_core" not in maps(server.pid)
    assert server.stop() == 0


def test_the_hang_up_of_a_terminal_stops_it(request):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "saltare", "worker_apps:app", "--port", "0"]
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command], cwd=request.path.parent, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    while b"listening" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(30) == 0

"""SIGHUP: workers with the code on disk replace the old ones, one at a time, and no request is lost."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from family import Load, children, descriptors, wait_for_workers, workers
from harness import Process, wait_until

ROLLS = int(os.environ.get("TEST_ROLLS", 2))  # 10 for a longer run

APP = """
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    body = VERSION if scope["path"] == "/version" else b"%d" % os.getpid()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture
def edited(tmp_path):
    """Writes a version of the app into the folder it is served from."""

    def write(version, text=APP):
        path = tmp_path / "edited.py"
        path.write_text(f"VERSION = {version.encode()!r}\n{text}")
        # A .pyc is trusted when the second and the size are equal; deployments do not change code twice a second.
        stamp = write.stamp = write.stamp + 2
        os.utime(path, (stamp, stamp))

    write.stamp = 1_700_000_000
    write("first")
    write.folder = tmp_path
    return write


@pytest.fixture
def served(cli_server, edited):
    def start(*args, **popen):
        return cli_server("edited:app", *args, cwd=edited.folder, **popen)

    return start


def version(raw, server):
    return raw(server).get("/version").read_response().body.decode()


def roll(server):
    """One complete SIGHUP: every worker is replaced."""
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    return wait_for_workers(server, len(before), without=before)


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_no_request_is_lost(served, edited, raw, tmp_path, preload, unix):
    where = ["--uds", tmp_path / "socket"] if unix else []
    server = served("--workers", "3", preload, *where)
    with Load(server) as kept, Load(server, clients=3, keep=False) as closing:
        for number in range(ROLLS):
            edited(f"roll {number}")
            roll(server)
            kept.wait_for_more()
            assert version(raw, server) == f"roll {number}"
        kept.wait_for_more(100)
        closing.wait_for_more(50)
    assert kept.failures == closing.failures == []
    assert server.stop() == 0


def test_the_new_one_serves_before_the_old_one_leaves(served, edited, raw):
    """With one worker: some worker serves at every moment."""
    server = served("--workers", "1", "--limit-max-requests", "1000000")
    with Load(server, keep=False, clients=2) as closing:
        for _ in range(ROLLS):
            roll(server)
            closing.wait_for_more(20)
    assert closing.failures == []


def test_one_at_a_time(served):
    """Each worker is replaced once; the old ones take a while to end."""
    server = served("--workers", "4")
    before = set(workers(server))
    server.popen.send_signal(signal.SIGHUP)

    def over():
        now = set(workers(server))
        assert len(now - before) <= 4
        return not now & before

    wait_until(over)
    wait_for_workers(server, 4, without=before)
    assert server.logs().count(") serves") == 4


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_a_broken_app_changes_nothing(served, edited, raw, preload):
    """The old workers continue, the error is shown once, and the repaired code is loaded."""
    server = served("--workers", "2", preload)
    before = workers(server)
    edited("broken", "def app(:")
    server.popen.send_signal(signal.SIGHUP)
    server.wait_for_log("SyntaxError")
    server.wait_for_log("the workers keep serving" if preload == "--preload" else "before it served")
    assert workers(server)[:2] == before or set(before) <= set(workers(server))
    assert version(raw, server) == "first"
    assert server.logs().count('importing "edited" failed') == 1
    edited("mended")
    roll(server)
    wait_until(lambda: version(raw, server) == "mended")
    assert server.stop() == 0


def test_an_app_whose_lifespan_breaks_changes_nothing(served, edited, raw):
    """The trial cannot detect it, the first new worker does."""
    server = served("--workers", "2", "--lifespan", "on")
    before = workers(server)
    edited("broken", "async def app(scope, receive, send):\n    raise ValueError('new')")
    server.popen.send_signal(signal.SIGHUP)
    server.wait_for_log("before it served")
    assert set(before) <= set(workers(server))
    assert version(raw, server) == "first"
    edited("mended")
    roll(server)
    wait_until(lambda: version(raw, server) == "mended")


def test_a_changed_configuration_is_taken_up(served, edited, raw):
    path = edited.folder / "config.toml"
    path.write_text('workers = 2\nheader = ["x-version: 1"]\n')
    server = served("--config", "config.toml")
    before = workers(server)
    path.write_text('workers = 3\nheader = ["x-version: 2"]\n')
    server.popen.send_signal(signal.SIGHUP)
    wait_for_workers(server, 3, without=before)
    wait_until(lambda: raw(server).get("/version").read_response().get("x-version") == "2")


def test_a_configuration_that_is_wrong_changes_nothing(served, edited, raw):
    path = edited.folder / "config.toml"
    path.write_text("workers = 2\n")
    server = served("--config", "config.toml")
    before = workers(server)
    path.write_text("workres = 3\n")
    server.popen.send_signal(signal.SIGHUP)
    server.wait_for_log("the workers keep serving the old code")
    assert "workres" in server.logs()
    assert workers(server) == before


def test_the_master_is_the_same_process_and_gathers_nothing(served, edited):
    """The pid that a supervisor knows, its descriptors, its title."""
    server = served("--workers", "2")
    roll(server)
    wait_until(lambda: len(children(server.pid)) == 2)  # the old workers are gone, and their resources too
    before = descriptors(server.pid)
    for _ in range(3):
        roll(server)
    wait_until(lambda: len(children(server.pid)) == 2 and descriptors(server.pid) <= before)
    assert Path(f"/proc/{server.pid}/comm").read_text() == "saltare:master\n"
    assert server.stop() == 0


def test_requests_in_progress_are_finished_by_the_old_workers(cli_server, raw):
    server = cli_server("worker_apps:app", "--workers", "2")
    before = workers(server)
    asking = [raw(server).get("/sleeps/1.5") for _ in range(6)]
    server.popen.send_signal(signal.SIGHUP)
    answers = [client.read_response() for client in asking]
    assert {answer.status for answer in answers} == {200}
    assert {int(answer.body) for answer in answers} <= set(before)
    wait_for_workers(server, 2, without=before)


def test_a_worker_killed_while_it_rolls_is_made_up_for(served):
    server = served("--workers", "3")
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: set(workers(server)) - set(before))
    for pid in before[1:2]:
        os.kill(pid, signal.SIGKILL)
    wait_for_workers(server, 3, without=before)
    assert server.stop() == 0


def test_several_at_a_time_are_one_after_the_other(served, edited, raw):
    server = served("--workers", "2")
    before = workers(server)
    edited("second")
    with Load(server, clients=3) as kept:
        for _ in range(3):
            server.popen.send_signal(signal.SIGHUP)
        wait_for_workers(server, 2, without=before)
        kept.wait_for_more(100)
        wait_until(lambda: version(raw, server) == "second")
    assert kept.failures == []
    assert server.stop() == 0


def test_a_stop_in_the_middle_of_it(served):
    server = served("--workers", "3")
    before = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: set(workers(server)) - set(before))
    assert server.stop() == 0


def test_a_stop_just_before_the_new_program_is_a_stop(tmp_path):
    """The signal is in a pipe that the new program does not have."""
    (tmp_path / "program.py").write_text(APP.replace("VERSION", "b'given'") + STOPPED_WHILE_IT_GIVES_WAY)
    server = Process([sys.executable, "program.py"], tmp_path / "log", cwd=tmp_path)
    server.popen.send_signal(signal.SIGHUP)
    assert server.wait() == 0
    assert "stopping: SIGTERM" in server.logs()


STOPPED_WHILE_IT_GIVES_WAY = """
import signal
import saltare

make = os.memfd_create

def make_once_more(name, *rest):
    if name == "saltare-handover":
        os.kill(os.getpid(), signal.SIGTERM)
    return make(name, *rest)

os.memfd_create = make_once_more
saltare.run(app, workers=1, limit_max_requests=1_000_000, port=0)
"""


def test_a_program_that_cannot_be_started_again_keeps_its_code(tmp_path):
    """An app read from standard input, for example: its workers are replaced all the same."""
    program = tmp_path / "program.py"
    program.write_text(APP.replace("VERSION", "b'given'") + SELF_ROLLING)
    done = subprocess.run(
        [sys.executable], stdin=program.open(), capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.stdout.split() == ["True", "True"], done.stdout + done.stderr
    assert "this program cannot be restarted" in done.stderr


def test_a_program_that_does_not_come_to_serve_again_goes_on(tmp_path):
    """Its trial succeeds, but in the wrong place: no worker would serve."""
    program = tmp_path / "program.py"
    once = "import os\nif os.path.exists('once'):\n    raise SystemExit(0)\nopen('once', 'w').close()\n"
    program.write_text(once + APP.replace("VERSION", "b'given'") + SELF_ROLLING.replace("get() == before", TRIED))
    log = tmp_path / "log"
    with open(log, "w") as stderr:
        command = [sys.executable, program]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60, cwd=tmp_path)
    assert done.stdout.split() == ["True", "True"], done.stdout + log.read_text()
    assert "the trial of the new code ended with exit code 0; the workers keep serving the old code" in log.read_text()


TRIED = "b'keep serving' not in open('log', 'rb').read()"
SELF_ROLLING = """
import signal, threading, time, urllib.request
import saltare

def get():
    return urllib.request.urlopen(server.url, timeout=20).read()

def use():
    while not server.started:
        time.sleep(0.01)
    before = get()
    os.kill(os.getpid(), signal.SIGHUP)
    while get() == before:
        time.sleep(0.01)
    print(True)
    server.shutdown()

server = saltare.Server(app, workers=1, limit_max_requests=1_000_000, port=0)
thread = threading.Thread(target=use)
thread.start()
server.run()
thread.join()
print(server.graceful)
"""


@pytest.mark.parametrize("options", [["--workers", "2"]], ids=["workers"])
def test_the_hang_up_of_a_terminal_stops_it(request, tmp_path, options):
    """A closed terminal sends SIGHUP too, and then no user is left to continue for."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "saltare", "worker_apps:app", "--port", "0", *options]
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command], cwd=request.path.parent, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    while b"listening" not in seen:
        seen += os.read(ours, 4096)
    assert b"Ctrl+C to stop" in seen
    os.close(ours)
    assert process.wait(30) == 0

"""Signals without meaning end nothing, from the first moment to the last; SIGQUIT stops like SIGTERM."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from family import alive, name, state, wait_for_answer_of, wait_for_end, wait_for_workers, workers
from harness import Process, wait_until
from quiet_apps import QUIET
from rawsocket import Raw

HERE = Path(__file__).parent
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
ONE_OR_TWO = pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "workers"])


@pytest.fixture
def start(cli_server, tmp_path):
    def started(*options, **env):
        return cli_server("quiet_apps:app", "--app-dir", HERE, *options, cwd=tmp_path, env=env)

    return started


def ask(server, path=""):
    with Raw(server) as client:
        answer = client.get(f"/{path}", "Connection: close").read_response()
        assert answer.status == 200
        return answer.body.decode()


def send_all(pid, numbers=QUIET):
    for number in numbers:
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)  # if it were stopped, the missed work would show it


def takes(pid, number):
    """Whether a signal of that number would reach a handler, or wait for one."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return any(int(fields[mask], 16) >> (number - 1) & 1 for mask in ("SigCgt", "SigBlk"))


@LOOPS
def test_a_single_process(start, loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    server = start("--loop", loop)
    for number in QUIET:
        os.kill(server.pid, number)
        assert ask(server) == str(server.pid)
        assert state(server.pid) != "T"
    assert server.stop() == 0
    assert "ERROR" not in server.logs()


def test_a_master_and_its_workers(start):
    """To a master SIGTTIN and SIGTTOU mean one worker more and one fewer."""
    server = start("--workers", "2")
    family = workers(server)
    for pid in family:
        send_all(pid)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        os.kill(server.pid, number)
    for pid in family:
        wait_for_answer_of(server, pid)
    assert workers(server) == family
    assert all(state(pid) != "T" for pid in (server.pid, *family))
    assert server.stop() == 0


@ONE_OR_TWO
def test_from_the_command_line_to_the_first_request(tmp_path, options):
    """Across the exec, during the import and while the lifespan starts; a master's workers too."""
    env = {**os.environ, "IMPORT_WAITS": "1", "STARTUP_WAITS": "1"}
    command = [sys.executable, "-m", "saltare", "quiet_apps:app", "--app-dir", HERE, "--port", "0", *options]
    log = tmp_path / "log"
    with open(log, "w") as stderr:
        popen = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=stderr)
    try:
        wait_until(lambda: all(takes(popen.pid, number) for number in QUIET))
        importing = tmp_path / "importing"
        while not importing.exists():
            send_all(popen.pid)
            assert popen.poll() is None, log.read_text()
            time.sleep(0.0005)
        send_all(popen.pid)
        importing.unlink()
        count = 2 if options else 1
        starting = []
        wait_until(lambda: starting.extend(tmp_path.glob("starting-*")) or len(set(starting)) == count, log.read_text)
        for path in set(starting):
            pid = int(path.name.partition("-")[2])
            send_all(pid)
            assert alive(pid)
        if not options:
            send_all(popen.pid)
        for path in set(starting):
            path.unlink()
        wait_until(lambda: "listening on" in log.read_text(), log.read_text)
    finally:
        popen.terminate()
        assert popen.wait(30) == 0, log.read_text()


@ONE_OR_TWO
def test_during_a_drain(start, tmp_path, options):
    server = start(*options)
    with Raw(server) as client:
        client.get("/sleeps/2")
        wait_until((tmp_path / "asked").exists)
        family = [server.pid, *workers(server)]
        server.popen.terminate()
        wait_until(lambda: refused(server))
        for pid in family:
            if alive(pid):
                send_all(pid, (signal.SIGUSR1, signal.SIGUSR2) if options and pid == server.pid else QUIET)
        assert client.read_response().body == b"slept"
    assert server.wait() == 0


def refused(server):
    try:
        Raw(server).socket.close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--workers", "2", "--no-preload")], ids=str)
@pytest.mark.parametrize("own", ["python", "faulthandler"])
def test_handlers_of_the_app_stay(start, own, options):
    """Set from Python or from C, at import: where each worker imports as well as where the master does."""
    server = start(*options, OWN=own)
    pids = workers(server) or [server.pid]
    for pid in pids:
        for number in (signal.SIGUSR1, signal.SIGQUIT):
            line = f"handler of {number:d}\n" if own == "python" else "Current thread 0x"
            wait_until(lambda pid=pid: state(pid) == "S")  # faulthandler drops a signal that arrives while it writes
            before = server.logs().count(line)
            os.kill(pid, number)
            wait_until(lambda line=line, before=before: server.logs().count(line) > before, server.logs)
    assert all(map(alive, pids))
    assert ask(server)
    assert server.stop() == 0


@ONE_OR_TWO
def test_programs_that_the_app_starts_have_nothing_of_it(start, options):
    server = start(*options)
    assert ask(server, "program") == "[]"
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        assert ask(server, f"forked/{number:d}") == str(-number)


# ---- SIGQUIT ----


@ONE_OR_TWO
def test_sigquit_stops_gracefully(start, tmp_path, options):
    server = start(*options)
    family = workers(server)
    with Raw(server) as client:
        client.get("/sleeps/1")
        wait_until((tmp_path / "asked").exists)
        os.kill(server.pid, signal.SIGQUIT)
        assert client.read_response().body == b"slept"
    assert server.wait() == 0
    wait_for_end(family)


def test_sigquit_of_a_terminal_reaches_all(cli_server, tmp_path):
    """Ctrl+\\ goes to the whole process group."""
    command = [sys.executable, "-m", "saltare", "quiet_apps:app", "--app-dir", HERE, "--port", "0", "--workers", "2"]
    server = Process(command, tmp_path / "log", cwd=tmp_path, start_new_session=True)
    with Raw(server) as client:
        client.get("/sleeps/1")
        wait_until((tmp_path / "asked").exists)
        os.killpg(server.pid, signal.SIGQUIT)
        assert client.read_response().body == b"slept"
    assert server.wait() == 0, server.logs()


def test_a_worker_stops_by_sigquit(start, tmp_path):
    """As by SIGTERM: requests in progress are finished, and another worker takes its place."""
    server = start("--workers", "2")
    with Raw(server) as client:
        pid = int(client.get("/pid").read_response().body)
        client.get("/sleeps/1")
        wait_until((tmp_path / "asked").exists)
        os.kill(pid, signal.SIGQUIT)
        assert client.read_response().body == b"slept"
    wait_for_workers(server, 2, without=[pid])
    assert f"(pid {pid}) ended with exit code 0" in server.logs()


def test_sigquit_before_it_serves_ends_it_as_sigterm_does(tmp_path):
    env = {**os.environ, "IMPORT_WAITS": "1"}
    command = [sys.executable, "-m", "saltare", "quiet_apps:app", "--app-dir", HERE, "--port", "0"]
    popen = subprocess.Popen(command, cwd=tmp_path, env=env)
    wait_until((tmp_path / "importing").exists)
    popen.send_signal(signal.SIGQUIT)
    assert popen.wait(30) == -signal.SIGTERM


# ---- run() in a program ----


@pytest.mark.parametrize("options", [{}, {"workers": 2}], ids=["one process", "workers"])
def test_a_program_has_its_handlers_back(tmp_path, options):
    command = [sys.executable, HERE / "quiet_apps.py", repr(options)]
    server = Process(command, tmp_path / "log", cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    pids = workers(server) if options else [server.pid]
    for pid in pids:
        send_all(pid)
        wait_for_answer_of(server, pid)
    if options:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(server.pid, number)
        assert name(server.pid) == "saltare:master"
    assert server.stop() == 0, server.logs()
    assert server.popen.stdout.read() == "as before\n"


def test_a_server_in_a_thread_touches_none():
    import saltare
    from quiet_apps import app

    before = [signal.getsignal(number) for number in range(1, signal.NSIG)]
    seen = []

    def look(server):
        ask(server)
        seen.extend(signal.getsignal(number) for number in range(1, signal.NSIG))

    with saltare.running(app, port=0) as server:
        server.port = int(server.url.rpartition(":")[2])
        thread = threading.Thread(target=look, args=[server])
        thread.start()
        thread.join()
    assert seen == before

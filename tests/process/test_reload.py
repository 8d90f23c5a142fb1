"""--reload: a changed file restarts the app, whatever its state."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from family import alive, children, wait_for_end, watcher, workers
from harness import wait_until
from rawsocket import Raw

pytest.importorskip("watchfiles")

APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("none")
    fields = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    if scope["path"] == "/stream":
        while True:
            await send({"type": "http.response.body", "body": b"event\\n", "more_body": True})
            await asyncio.sleep(0.1)
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b"begins\\n", "more_body": True})
        await asyncio.sleep(3)
        return await send({"type": "http.response.body", "body": b"ends"})
    await send({"type": "http.response.body", "body": VERSION})
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app").mkdir()
    write(tmp_path / "app", "first")
    return tmp_path / "app"


@pytest.fixture
def reloading(cli_server, folder):
    def start(*args, watched=folder):
        server = cli_server("edited:app", "--reload", *args, cwd=folder)
        wait_until(lambda: watcher(server, watched))
        return server

    return start


def write(folder, version, text=APP):
    (folder / "edited.py").write_text(f"VERSION = {version.encode()!r}\n{text}")


def version(server):
    with Raw(server) as client:
        return client.get("/", "Connection: close").read_response().body.decode()


def becomes(server, expected):
    wait_until(lambda: version(server) == expected, server.logs)


def test_a_change_restarts_and_is_named(reloading, folder):
    server = reloading()
    assert version(server) == "first"
    (before,) = workers(server)
    for number in range(3):  # quick changes too, within the second for which a .pyc is trusted
        write(folder, f"{number}")
        becomes(server, f"{number}")
    assert "edited.py has changed: restarting" in server.logs()
    assert before not in workers(server)
    assert len(workers(server)) == 1
    assert server.stop() == 0


def test_who_connects_meanwhile_waits(reloading, folder):
    """The listener belongs to the master: no connection is refused."""
    server = reloading()
    failures, over = [], threading.Event()

    def ask():
        while not over.is_set():
            try:
                version(server)
            except (OSError, EOFError) as error:
                failures.append(error)

    client = threading.Thread(target=ask)
    client.start()
    try:
        write(folder, "second")
        becomes(server, "second")
    finally:
        over.set()
        client.join()
    assert failures == []


def test_a_syntax_error_waits_for_the_next_change(reloading, folder):
    server = reloading()
    write(folder, "broken", "def app(:")
    server.wait_for_log("the app starts again when a file changes")
    assert server.logs().count("SyntaxError") >= 1
    assert server.popen.poll() is None
    assert workers(server) == []
    write(folder, "mended")
    becomes(server, "mended")
    assert server.stop() == 0


def test_an_app_that_is_broken_from_the_start(cli_server, folder, tmp_path):
    """It logs the error, and waits."""
    write(folder, "broken", "raise RuntimeError('not yet')")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "saltare", "edited:app", "--reload", "--port", "0"]
    with open(log, "w") as stderr:
        process = subprocess.Popen(command, cwd=folder, stderr=stderr)
    try:
        wait_until(lambda: "the app starts again when a file changes" in log.read_text(), log.read_text)
        assert "RuntimeError: not yet" in log.read_text()
        wait_until(lambda: watcher(process, folder))
        write(folder, "mended")
        wait_until(lambda: "listening on" in log.read_text(), log.read_text)
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_an_app_that_dies_waits_for_the_next_change(reloading, folder):
    server = reloading()
    os.kill(workers(server)[0], signal.SIGKILL)
    server.wait_for_log("was killed by SIGKILL; the app starts again when a file changes")
    write(folder, "second")
    becomes(server, "second")


def test_a_stream_does_not_hold_it_up(reloading, folder, raw):
    """It is cut off after a moment, and the log says by what."""
    server = reloading()
    stream = raw(server).get("/stream")
    stream.read_until(b"event")
    write(folder, "second")
    becomes(server, "second")
    assert stream.read_all()
    assert "2 s is over (that of --reload; --shutdown-timeout gives another): requests in progress" in server.logs()
    assert server.popen.poll() is None


@pytest.mark.parametrize("timeout", ["20s", "0"])
def test_a_shutdown_timeout_that_was_asked_for_is_given(reloading, folder, raw, timeout):
    """Requests in progress are finished, though files are watched."""
    server = reloading("--shutdown-timeout", timeout)
    asking = raw(server).get("/slow")
    asking.read_until(b"begins")
    write(folder, "second")
    asking.read_until(b"ends")
    becomes(server, "second")
    assert "requests in progress" not in server.logs()


def test_sighup_restarts_too(reloading, folder):
    server = reloading()
    (before,) = workers(server)
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: workers(server) and before not in workers(server))
    becomes(server, "first")


def test_signals_to_the_process_group_leave_the_watcher(reloading, folder):
    server = reloading()
    before = watcher(server, folder)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP, signal.SIGTERM):
        os.kill(before, number)
    write(folder, "second")
    becomes(server, "second")
    assert watcher(server, folder) == before


def test_a_watcher_that_dies_is_started_again(reloading, folder):
    server = reloading()
    before = watcher(server, folder)
    os.kill(before, signal.SIGKILL)
    server.wait_for_log("the program that watches files has ended, and was started again")
    wait_until(lambda: watcher(server, folder) not in (None, before))
    write(folder, "second")
    becomes(server, "second")


def test_a_watcher_that_cannot_run_is_given_up(reloading, folder):
    server = reloading()
    while "files are no longer watched" not in server.logs():
        for pid in set(children(server.pid)) - set(workers(server)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert f"kill -HUP {server.pid} restarts the app" in server.logs()
    write(folder, "second")
    server.popen.send_signal(signal.SIGHUP)
    becomes(server, "second")


def restarts(server):
    return len(re.findall("has changed: restarting", server.logs()))


def test_what_is_watched_and_what_is_not(reloading, folder, tmp_path):
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / ".hidden").mkdir()
    server = reloading()
    for ignored in ("notes.txt", "__pycache__/made.py", ".hidden/made.py"):
        (folder / ignored).write_text("changed")
    (folder / "other.py").write_text("changed = True")
    server.wait_for_log("other.py has changed: restarting")
    becomes(server, "first")
    assert restarts(server) == 1


def test_include_and_exclude(reloading, folder):
    server = reloading("--reload-include", "*.html", "--reload-exclude", "made_*")
    (folder / "made_up.py").write_text("changed = True")
    (folder / "page.html").write_text("<p>changed")
    server.wait_for_log("page.html has changed: restarting")
    becomes(server, "first")
    assert restarts(server) == 1


def test_another_folder(reloading, folder, tmp_path):
    (tmp_path / "library").mkdir()
    server = reloading("--reload-dir", "../library", watched=tmp_path / "library")
    (folder / "other.py").write_text("changed = True")
    (tmp_path / "library" / "part.py").write_text("changed = True")
    server.wait_for_log("part.py has changed: restarting")
    becomes(server, "first")
    assert restarts(server) == 1


def test_nothing_is_left(reloading, folder):
    server = reloading()
    family = [watcher(server), *workers(server)]
    assert len(family) == 2
    assert server.stop() == 0
    assert not any(map(alive, family))


def test_a_killed_master_takes_the_watcher_with_it(reloading):
    server = reloading()
    family = [watcher(server), *workers(server)]
    server.popen.kill()
    server.wait()
    wait_for_end(family)


# time.sleep(): clock_nanosleep on x86-64 and aarch64, and in Python 3.10 select and pselect6
SLEEPS = {"230", "115", "23", "270", "72"}


def looks(server):
    """The pid of the program that looks at files' times, once it has had its first look and sleeps."""
    for pid in set(children(server.pid)) - set(workers(server)):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/syscall").read_text().split()[0] in SLEEPS:
                return pid
    return None


@pytest.fixture
def without_watchfiles(cli_server, folder, tmp_path):
    """A server that finds no watchfiles, and so looks at the files' times."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "watchfiles.py").write_text("raise ImportError")
    (folder / "__pycache__").mkdir(exist_ok=True)
    server = cli_server("edited:app", "--reload", cwd=folder, env={"PYTHONPATH": str(tmp_path / "hidden")})
    wait_until(lambda: looks(server), server.logs)
    return server


def test_without_watchfiles(without_watchfiles, folder):
    server = without_watchfiles
    for ignored in ("notes.txt", "__pycache__/made.py"):
        (folder / ignored).write_text("changed")
    for number in range(2):
        write(folder, f"{number}")
        becomes(server, f"{number}")
    (folder / "new.py").write_text("new = True")
    server.wait_for_log("new.py has changed: restarting")
    (folder / "new.py").unlink()
    wait_until(lambda: restarts(server) == 4, server.logs)
    assert server.logs().count("edited.py has changed: restarting") == 2
    assert server.stop() == 0


def test_a_killed_master_takes_the_one_that_looks_with_it(without_watchfiles):
    server = without_watchfiles
    family = [looks(server), *workers(server)]
    server.popen.kill()
    server.wait()
    wait_for_end(family)


@pytest.mark.parametrize(
    ("path", "include", "exclude", "wanted"),
    [
        ("/app/main.py", ["*.py"], [], True),
        ("/app/deep/er/main.py", ["*.py"], [], True),
        ("/app/main.txt", ["*.py"], [], False),
        ("/app/main.txt", ["*"], [], True),
        ("/app/main.py", ["*.py"], ["main.*"], False),
        ("/app/made/main.py", ["*.py"], ["made/*"], False),
        ("/app/made/main.py", ["*.py"], ["made"], False),
        ("/app/made/deep/main.py", ["*.py"], ["made/"], False),
        ("/app/build/made/main.py", ["*.py"], ["made"], False),
        ("/app/build/made/main.py", ["*.py"], ["build/made"], False),
        ("/app/build/made/main.py", ["*.py"], ["./build/made"], False),
        ("/app/build/made/main.py", ["*.py"], ["/app/build"], False),
        ("/app/build/main.py", ["*.py"], ["build/made", "made"], True),
        ("/app/made.py", ["*.py"], ["made", "app"], True),
        ("/app/.venv/lib/main.py", ["*.py"], [], False),
        ("/app/node_modules/main.py", ["*.py"], [], False),
        ("/app/__pycache__/main.py", ["*.py"], [], False),
        ("/elsewhere/main.py", ["*.py"], [], False),
        ("/application/main.py", ["*.py"], [], False),
    ],
)
def test_patterns(path, include, exclude, wanted):
    from saltare.prefork.reload import is_wanted

    assert is_wanted(path, ["/app"], include, exclude) == wanted


def test_an_excluded_path_from_the_working_directory(tmp_path, monkeypatch):
    from saltare.prefork.reload import is_wanted

    monkeypatch.chdir(tmp_path)
    folder = f"{tmp_path}/src"
    assert not is_wanted(f"{folder}/gen/x.py", [folder], ["*.py"], ["src/gen"])
    assert is_wanted(f"{folder}/general/x.py", [folder], ["*.py"], ["src/gen"])

"""Start-up and shutdown of the app that fail, raise, or never end: the exit code and the log."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GET = b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n"


def command(*args):
    return [sys.executable, "-m", "saltare", "drain_apps:app", "--port", "0", *args]


def ended(environ, *args, **env):
    """The result of a start that should fail."""
    return subprocess.run(
        command(*args), cwd=HERE, capture_output=True, text=True, timeout=60, check=False, env={**environ, **env}
    )


@pytest.fixture
def environ():
    import os

    return dict(os.environ)


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_startup_failed(environ, mode):
    result = ended(environ, "--lifespan", mode, STARTUP="failed")
    assert result.returncode == 3
    assert result.stderr.splitlines()[-1] == "saltare: the app's start-up failed: startup says no"
    assert "listening" not in result.stderr


def test_startup_raises_where_lifespan_is_a_must(environ):
    result = ended(environ, "--lifespan", "on", STARTUP="raise")
    assert result.returncode == 3
    assert "RuntimeError: startup goes wrong" in result.stderr
    assert "app/lifespan.py" not in result.stderr  # the traceback is the app's, without saltare's frames
    assert "listening" not in result.stderr


def test_startup_raises_where_lifespan_is_a_may(cli_server, raw):
    server = cli_server("drain_apps:app", env={"STARTUP": "raise"})
    assert raw(server).send(GET).read_response().body == b"quick"
    assert server.stop() == 0


def test_lifespan_off(cli_server, raw):
    server = cli_server("drain_apps:app", "--lifespan", "off", env={"STARTUP": "hang", "SHUTDOWN": "hang"})
    assert raw(server).send(GET).read_response().body == b"quick"
    assert server.stop() == 0
    assert "hangs" not in server.logs()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("outcome", ["hang", "stubborn"])
def test_startup_that_hangs_can_be_stopped(environ, number, outcome):
    env = {**environ, "STARTUP": outcome}
    with subprocess.Popen(command(), cwd=HERE, stderr=subprocess.PIPE, env=env) as process:
        line = process.stderr.readline()
        assert b"hangs" in line or b"stubborn begins" in line
        process.send_signal(number)
        if outcome == "stubborn":
            assert b"was cancelled" in process.stderr.readline()
            process.send_signal(number)
        code = process.wait(60)
        assert code == (0 if outcome == "hang" else 1)
        assert b"listening" not in process.stderr.read()


def test_shutdown_failed(cli_server, raw):
    server = cli_server("drain_apps:app", env={"SHUTDOWN": "failed"})
    raw(server).send(GET).read_response()
    assert server.stop() == 0
    assert "the app's shutdown failed: shutdown says no" in server.logs()


def test_shutdown_raises(cli_server, raw):
    server = cli_server("drain_apps:app", env={"SHUTDOWN": "raise"})
    raw(server).send(GET).read_response()
    assert server.stop() == 0
    assert "RuntimeError: shutdown goes wrong" in server.logs()


@pytest.mark.parametrize("arguments", ["", "--loop uvloop", "--workers 2"])
def test_shutdown_that_waits_for_garbage(cli_server, arguments):
    if "uvloop" in arguments:
        pytest.importorskip("uvloop")
    server = cli_server("drain_apps:app", *arguments.split(), env={"SHUTDOWN": "pool"})
    assert server.stop() == 0
    assert server.logs().count("the pool has its connection again") == (2 if "workers" in arguments else 1)


@pytest.mark.parametrize("outcome", ["hang", "stubborn"])
def test_shutdown_that_hangs_is_given_up_in_time(cli_server, outcome):
    server = cli_server("drain_apps:app", "--shutdown-timeout", "0.3", env={"SHUTDOWN": outcome})
    assert server.stop() == 1
    assert "lifespan shutdown is cancelled" in server.logs()


@pytest.mark.parametrize("outcome", ["hang", "stubborn"])
def test_shutdown_that_hangs_is_given_up_at_a_second_signal(cli_server, outcome):
    server = cli_server("drain_apps:app", env={"SHUTDOWN": outcome})
    server.popen.send_signal(signal.SIGTERM)
    server.wait_for_log("lifespan shutdown begins")
    server.popen.send_signal(signal.SIGTERM)
    assert server.wait() == 1


def test_the_import_can_be_interrupted(tmp_path):
    """Before anything is served, the signals have the effect they have on any program."""
    (tmp_path / "slow_import.py").write_text(
        "import sys, time\n"
        "print('importing', file=sys.stderr, flush=True)\n"
        "for _ in range(6000): time.sleep(0.01)\n"  # a signal just before a long sleep would not end it
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        args = [sys.executable, "-m", "saltare", "slow_import:app", "--port", "0"]
        with subprocess.Popen(args, cwd=tmp_path, stderr=subprocess.PIPE) as process:
            assert process.stderr.readline() == b"importing\n"
            process.send_signal(number)
            assert process.wait(60) == -number

"""Signals with the core loaded: the Go runtime must not change Python's."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from harness import wait_until

HERE = Path(__file__).parent
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@pytest.fixture
def serving(cli_server):
    def start(loop="asyncio", *args, **env):
        if loop == "uvloop":
            pytest.importorskip("uvloop")
        return cli_server("signal_apps:app", "--loop", loop, *args, env=env)

    return start


def ask(raw, server, what):
    return raw(server).get(f"/{what}").read_response().body.decode()


@LOOPS
def test_an_idle_server_runs_a_handler_at_once(serving, raw, loop):
    """A signal ends the wait, even with nothing else to do."""
    server = serving(loop)
    for times in (1, 2, 3):
        time.sleep(0.05)
        os.kill(server.pid, signal.SIGUSR2)
        wait_until(lambda times=times: server.logs().count(f"handler of {signal.SIGUSR2:d}\n") == times)
    assert ask(raw, server, "hello") == "hello"


def test_handlers_are_left_as_they_are(serving, raw):
    assert ask(raw, serving(), "handlers") == "[True, True, True, True]"


@LOOPS
@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("loop_handler", "came"),
        ("wakeup_fd", str(signal.SIGUSR1.value)),
        ("children", "True"),
        ("sigchld", "7"),
        ("profile", "True"),
        ("broken_pipe", "BrokenPipeError 141"),
        ("own_dump", "dumped"),
    ],
)
def test_what_an_app_does_with_signals(serving, raw, what, expected, loop):
    if loop == "uvloop" and what == "wakeup_fd":
        pytest.skip("uvloop needs the one wake-up descriptor for itself")
    server = serving(loop)
    others = [raw(server) for _ in range(5)]
    assert ask(raw, server, what) == expected
    for other in others:
        assert other.get("/hello").read_response().body == b"hello"
    if what == "own_dump":
        assert "in own_dump" in server.logs()


def test_requests_go_on_in_a_storm_of_signals(serving, raw):
    server = serving()
    waiting = raw(server).get("/profile")
    other = raw(server)
    for _ in range(200):
        assert other.get("/hello").read_response().body == b"hello"
    assert waiting.read_response().body == b"True"


def test_sigurg(serving, raw):
    """The Go runtime interrupts its own threads with SIGURG. An app that sets a handler later gets it too."""
    server = serving()
    assert ask(raw, server, "hello") == "hello"
    os.kill(server.pid, signal.SIGURG)
    server.wait_for_log(f"handler of {signal.SIGURG:d}")
    assert ask(raw, server, "hello") == "hello"


def test_handlers_set_before_the_core_is_loaded(serving, raw):
    """All dispositions but that of SIGURG, which the Go runtime uses from then on."""
    server = serving(EARLY="1")
    for number in (signal.SIGURG, signal.SIGUSR2):
        os.kill(server.pid, number)
    server.wait_for_log(f"handler of {signal.SIGUSR2:d}")
    assert ask(raw, server, "hello") == "hello"


def test_a_fault_is_shown_by_faulthandler(serving, raw):
    server = serving()
    with pytest.raises(EOFError):
        ask(raw, server, "fault")
    assert server.wait() == -signal.SIGSEGV
    log = server.logs()
    assert "Fatal Python error: Segmentation fault" in log
    assert re.search(r'File ".*signal_apps\.py", line \d+ in fault', log)
    assert "goroutine" not in log


# --- run() in the main thread of a program


def program(code):
    """Runs a program with the core; the test fails when an assertion in the program does."""
    code = "import os, signal, threading, time, sys, saltare\n" + textwrap.dedent(code)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result


APP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

def when_started(server, do):
    def wait():
        while not server.started:
            time.sleep(0.002)
        do()
    threading.Thread(target=wait).start()
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_handlers_are_the_programs_again_after_run(loop):
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    program(
        APP
        + f"""
def mine(number, frame):
    seen.append(number)

seen = []
signal.signal(signal.SIGTERM, mine)
for number in (signal.SIGTERM, signal.SIGINT):
    server = saltare.Server(app, port=0, lifespan="off", loop={loop!r})
    during = []
    def stop():
        during.append(signal.getsignal(signal.SIGTERM))
        os.kill(os.getpid(), number)
    when_started(server, stop)
    server.run()
    assert during != [mine]
    assert signal.getsignal(signal.SIGTERM) is mine
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert seen == []
os.kill(os.getpid(), signal.SIGTERM)
assert seen == [signal.SIGTERM]
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    pass
else:
    sys.exit("no KeyboardInterrupt")
"""
    )


def test_handlers_are_restored_after_a_start_that_failed():
    program(
        APP
        + """
async def broken(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no"})

before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
try:
    saltare.run(broken, port=0)
except saltare.AppError:
    pass
else:
    sys.exit("it started")
assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
"""
    )


def test_in_another_thread_no_handler_is_touched():
    program(
        APP
        + """
before = [signal.getsignal(number) for number in range(1, signal.NSIG)]
with saltare.running(app, port=0, lifespan="off"):
    assert before == [signal.getsignal(number) for number in range(1, signal.NSIG)]
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except KeyboardInterrupt:
        pass
    else:
        sys.exit("no KeyboardInterrupt")
assert before == [signal.getsignal(number) for number in range(1, signal.NSIG)]
"""
    )


def test_the_main_threads_wakeup_fd_beside_a_server_in_a_thread():
    program(
        APP
        + """
ours, theirs = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(theirs)
signal.signal(signal.SIGUSR1, lambda number, frame: None)
with saltare.running(app, port=0, lifespan="off"):
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.05)
    assert os.read(ours, 10) == bytes([signal.SIGUSR1])
assert signal.set_wakeup_fd(-1) == theirs
"""
    )


def test_asyncio_run_in_the_main_thread_is_interrupted_as_ever():
    """serve() stops gracefully and raises the signal again."""
    program(
        APP
        + """
import asyncio

server = saltare.Server(app, port=0, lifespan="off")
when_started(server, lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    asyncio.run(server.serve())
except KeyboardInterrupt:
    pass
else:
    sys.exit("no KeyboardInterrupt")
assert not server.started
"""
    )

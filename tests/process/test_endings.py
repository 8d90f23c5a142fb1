"""One shutdown path for every reason: it is logged, requests and lifespan are finished, the exit code is right."""

import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import saltare
from saltare.process import ending

HERE = Path(__file__).parent
GET = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
OF_A_SERVER = ["--loop asyncio", "--loop uvloop", "--workers 2 --worker-failure exit"]
SERVERS = pytest.mark.parametrize("arguments", OF_A_SERVER, ids=["asyncio", "uvloop", "workers"])


@pytest.fixture
def start(cli_server):
    def started(arguments="", *more, app="app", env=None, **popen):
        if "uvloop" in arguments:
            pytest.importorskip("uvloop")
        return cli_server(f"ending_apps:{app}", *arguments.split(), *more, env=env, **popen)

    return started


def ask(raw, server, what):
    """A client whose response has started."""
    client = raw(server).send(GET % what.encode())
    client.read_until(b"begun ")
    return client


def exit_functions(server):
    return len(re.findall(r"exit functions of \d+", server.logs()))


# ---- what is raised through the loop ----

# What is raised, the exit code of the process, and what is logged about it.
RAISED = {
    "exit": (4, "SystemExit: 4 was raised"),
    "interrupt": (-signal.SIGINT, "KeyboardInterrupt was raised"),
    "stop": (1, "loop.stop() was called"),
}


@SERVERS
@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("where", ["task", "callback"])
def test_raised_outside_of_requests(start, raw, arguments, where, what):
    code, line = RAISED[what]
    server = start(arguments)
    client = ask(raw, server, f"{where}/{what}")
    assert client.read_all().endswith(b"5\r\nended\r\n0\r\n\r\n")
    assert server.wait() == (128 - code if code < 0 and "workers" in arguments else code)
    log = server.logs()
    assert f"the server stops: {line}" in log
    if what != "stop":
        assert "ending_apps.py" in log.split("the server stops")[1]
    assert "lifespan shutdown" in log
    assert "never retrieved" not in log
    assert exit_functions(server) == (3 if "workers" in arguments else 1)


def test_a_handler_of_the_app_that_exits(start, raw):
    """It replaced the server's, and raises wherever the main thread is: in the wait for events, or in the app."""
    server = start(env={"STARTUP": "signals"})
    ask(raw, server, "quick")
    assert server.stop() == 5
    assert "SystemExit: 5 was raised" in server.logs()
    assert "lifespan shutdown" in server.logs()


def test_run_raises_what_ended_it(raw):
    """In a program that calls run(), after the server has ended."""
    result = program(
        """
        import asyncio, sys, saltare
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            asyncio.get_running_loop().call_later(0.05, sys.exit, 6)
            await receive()
            print("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
        try:
            saltare.run(app, port=0)
        except SystemExit as ended:
            print(ended.code)
        """
    )
    assert result.stdout.split() == ["shutdown", "6"]
    assert result.returncode == 0


def program(code, **more):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


@SERVERS
def test_an_app_that_cancels_all_tasks(start, raw, arguments):
    """The server's own task too, which is logged."""
    server = start(arguments)
    raw(server).send(GET % b"cancel_all")
    assert server.wait() == 1
    assert "the server's own task was cancelled" in server.logs()
    assert exit_functions(server) == (3 if "workers" in arguments else 1)


# ---- the lifespan ----


def result_of(arguments="", **env):
    """The result of a start that should fail."""
    command = [sys.executable, "-m", "saltare", "ending_apps:app", "--port", "0", *arguments.split()]
    more = {"cwd": HERE, "env": {**os.environ, **env}, "timeout": 60, "check": False}
    return subprocess.run(command, capture_output=True, text=True, **more)


@SERVERS
@pytest.mark.parametrize(("what", "code"), [("exit", 4), ("interrupt", -signal.SIGINT)])
def test_an_exit_during_startup_ends_the_start(arguments, what, code):
    if "uvloop" in arguments:
        pytest.importorskip("uvloop")
    result = result_of(arguments, STARTUP=what)
    assert result.returncode == (3 if "workers" in arguments else code)
    assert RAISED[what][1] in result.stderr
    assert "listening on" not in result.stderr


@SERVERS
@pytest.mark.parametrize(("what", "code"), [("exit", 4), ("interrupt", -signal.SIGINT)])
def test_an_exit_during_shutdown(start, raw, arguments, what, code):
    server = start(arguments, env={"SHUTDOWN": what})
    ask(raw, server, "quick")
    begun = time.monotonic()
    ended = server.stop()
    assert time.monotonic() - begun < 20  # before the end of shutdown_timeout
    assert ended == (1 if "workers" in arguments else code)
    assert RAISED[what][1] in server.logs()


def test_an_app_that_raises_in_its_startup_is_served_with_a_warning(start, raw):
    server = start(env={"STARTUP": "raise"})
    ask(raw, server, "quick")
    log = server.logs()
    assert re.search(r"WARNING the app raised during lifespan.startup.*--lifespan on", log)
    assert "RuntimeError: it goes wrong" in log
    assert server.stop() == 0


def test_an_app_that_knows_no_lifespan_is_served_without_a_word(start, raw):
    server = start("--log-level info", app="no_lifespan")
    ask(raw, server, "quick")
    assert "lifespan" not in server.logs() and "Traceback" not in server.logs()
    assert server.stop() == 0


@pytest.mark.parametrize("arguments", ["--loop asyncio", "--loop uvloop"])
def test_a_task_that_catches_its_cancellation_is_abandoned(start, raw, arguments):
    server = start(arguments)
    ask(raw, server, "uncancelled")
    assert server.stop() == 1
    assert server.logs().count("tasks still running after their cancellation are abandoned: 1") == 1


# ---- threads ----


@pytest.mark.parametrize("arguments", ["--loop asyncio", "--loop uvloop", "--workers 2"])
@pytest.mark.parametrize("what", ["thread", "executor"])
def test_a_thread_that_does_not_end_is_named_and_left_behind(start, raw, arguments, what):
    server = start(arguments, "--shutdown-timeout", "2")
    ask(raw, server, what)
    begun = time.monotonic()
    assert server.stop() == 1
    assert time.monotonic() - begun < 25
    log = server.logs()
    name = "sleeper" if what == "thread" else r"(asyncio|uvloop)_\d"
    left = re.findall(
        rf"ERROR .*: threads that have not ended are abandoned: {name} \(.*ending_apps.py:\d+ in sleep\)", log
    )
    assert len(left) == 1, log
    assert "lifespan shutdown" in log
    assert exit_functions(server) == (3 if "workers" in arguments else 1)


@pytest.mark.parametrize("arguments", ["", "--workers 2"])
@pytest.mark.parametrize("what", ["daemons/busy", "daemons/idle"])
def test_daemons_of_executors_do_not_hold_up_a_stop(start, raw, arguments, what):
    """Python's own end waits for them without a limit."""
    server = start(arguments, "--shutdown-timeout", "0")
    ask(raw, server, what)
    assert server.stop() == 0
    assert "threads that have not ended" not in server.logs()
    assert exit_functions(server) == (3 if "workers" in arguments else 1)
    if not arguments:  # a master ends its interpreter, and its workers do not
        assert ("finalized" in server.logs()) == (what == "daemons/idle")


@pytest.mark.parametrize("arguments", ["", "--workers 2", "--workers 2 --no-preload"])
def test_a_thread_does_not_hold_up_a_start_that_failed(tmp_path, arguments):
    (tmp_path / "fails.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(3600,), name='sleeper').start()\n"
        "raise RuntimeError('no')\n"
    )
    command = [sys.executable, "-m", "saltare", "fails:app", "--port", "0", *arguments.split()]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 3
    assert "are abandoned: sleeper" in result.stderr


@pytest.mark.parametrize("what", ["thread", "executor"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_wait_for_threads(start, raw, what, number):
    server = start("--shutdown-timeout 0")
    ask(raw, server, what)
    server.popen.send_signal(signal.SIGTERM)
    server.wait_for_log(f"waiting for threads that have not ended: {'sleeper' if what == 'thread' else 'asyncio_0'} (")
    server.popen.send_signal(number)
    assert server.wait() == 1
    assert "are abandoned" in server.logs()
    assert exit_functions(server) == 1


@pytest.mark.parametrize("arguments", OF_A_SERVER)
@pytest.mark.parametrize("what", ["working/0.5", "working/4", "work_in_executor"])
def test_a_thread_that_ends_is_waited_for(start, raw, arguments, what):
    """And no longer than needed: with --shutdown-timeout 0 there is no limit."""
    server = start(arguments, "--shutdown-timeout", "0")
    ask(raw, server, what)
    assert server.stop() == 0
    log = server.logs()
    assert "work is done" in log and "abandoned" not in log
    assert log.index("work is done") < log.rindex("exit functions of")


def test_a_program_that_runs_a_server_has_its_thread_back():
    """run() waits for its executor only as long as for everything else; the program has to handle what is left."""
    result = program(
        """
        import asyncio, os, threading, time, saltare
        async def app(scope, receive, send):
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        server = saltare.Server(app, port=0, shutdown_timeout=1.5)
        server.after_start = server.shutdown
        server.run()
        print("back", server.graceful, flush=True)
        os._exit(0)
        """
    )
    assert result.stdout == "back False\n", result.stderr
    assert "asyncio_0" in result.stderr


# ---- exit functions, streams, and the end of the interpreter ----


@SERVERS
@pytest.mark.parametrize("how", ["in time", "at once"])
def test_a_stop_that_cuts_a_stream_runs_exit_functions(start, raw, arguments, how):
    server = start(arguments, "--shutdown-timeout", "0.2" if how == "in time" else "60")
    client = ask(raw, server, "stream")
    server.popen.send_signal(signal.SIGTERM)
    if how == "at once":
        server.wait_for_log("stopping: SIGTERM")  # signals that arrive together count as one
        server.popen.send_signal(signal.SIGTERM)
    assert server.wait() == 1
    assert b"ended" not in client.read_all()
    assert exit_functions(server) == (3 if "workers" in arguments else 1)
    assert "lifespan shutdown" in server.logs()


@pytest.mark.parametrize("arguments", ["", "--workers 1 --limit-max-requests 1000"], ids=["single", "worker"])
def test_what_is_printed_is_written(start, raw, arguments, tmp_path):
    with open(tmp_path / "out", "wb") as out:
        server = start(arguments, stdout=out, env={"PYTHONUNBUFFERED": ""})
        ask(raw, server, "buffered")
        assert server.stop() == 0
    assert (tmp_path / "out").read_text() == "buffered\n"


def test_what_cannot_be_written_is_no_success(start, raw):
    with open("/dev/full", "wb") as full:
        server = start(stdout=full, env={"PYTHONUNBUFFERED": ""})
        ask(raw, server, "buffered")
        assert server.stop() == 120  # as for any Python program


def test_a_plain_process_ends_its_interpreter(start, tmp_path):
    """Which flushes the buffers of open files, frozen ones and those before and after one that blocks."""
    server = start(env={"KEPT_OPEN": str(tmp_path / "kept")})
    assert server.stop() == 0
    assert server.logs().endswith("finalized\n")
    assert (tmp_path / "kept1").read_text() == (tmp_path / "kept2").read_text() == "in the buffer"


def test_the_search_for_open_files_runs_no_python_code_for_each_object():
    """An app may have a million objects; a step in Python for each takes a second on a busy machine."""
    fewer = steps_of_search()
    kept = [[] for _ in range(10_000)]
    assert steps_of_search() < fewer + len(kept)


def steps_of_search():
    """The bytecode instructions that the search runs in this thread."""
    steps = 0

    def count(frame, event, argument):
        nonlocal steps
        if frame.f_code.co_filename != ending.__file__:
            return None
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return count

    former = sys.gettrace()
    sys.settrace(count)
    try:
        ending.flush_files()
    finally:
        sys.settrace(former)
        gc.unfreeze()
    return steps


def test_a_class_without_a_hash_is_no_obstacle_to_the_search():
    class Meta(type):
        __hash__ = None

    kept = Meta("Unhashable", (), {})()
    assert steps_of_search() > 0 and kept


def test_a_parked_process_ends_at_once(start, disk):
    """After its exit functions; destroying objects would read its memory file back."""
    server = start("--park-memory", disk)
    server.wait_for_log(f"of memory in {disk}")
    assert server.stop() == 0
    assert exit_functions(server) == 1
    assert "finalized" not in server.logs()


@pytest.fixture
def disk(tmp_path):
    """A folder in which memory can be parked."""
    from saltare import _memory
    from saltare.memory.park import UNSUITABLE

    fd = os.open(tmp_path, os.O_RDONLY)
    kind = UNSUITABLE.get(_memory.file_system(fd))
    os.close(fd)
    if kind is not None:
        pytest.skip(f"{tmp_path} lies on {kind}: choose another --basetemp")
    return tmp_path


# ---- the reason ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("arguments", ["", "--workers 2"], ids=["single", "workers"])
def test_the_reason_of_a_stop_is_logged(start, number, arguments):
    server = start(arguments)
    assert server.stop(number) == 0
    assert server.logs().count(f"INFO stopping: {signal.Signals(number).name}") == 1


def test_a_stop_by_the_program_is_logged(serve):
    server = serve(lambda scope, receive, send: None, lifespan="off")
    server.stop()
    assert "INFO saltare: stopping: shutdown() was called" in server.logs()


def test_a_server_that_was_ended_so_can_run_again(raw):
    async def app(scope, receive, send):
        import asyncio

        asyncio.get_running_loop().call_later(0.01, sys.exit, 6)
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    for _ in range(2):
        with pytest.raises(SystemExit) as ended, saltare.running(app, port=0, lifespan="off") as server:
            raw(int(server.url.rpartition(":")[2])).get().read_response()
            while server.started:
                time.sleep(0.01)
        assert ended.value.code == 6

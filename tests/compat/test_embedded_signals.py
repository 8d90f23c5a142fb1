"""Signals to programs that embed a server, and what libraries find behind a handler."""

import contextlib
import os
import signal
import subprocess

import httpx
import pytest

from harness import wait_until


def served_by(port):
    return httpx.get(f"http://127.0.0.1:{port}/").text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("how", ["run", "handling"])
def test_run_ends_gracefully(program, how, number):
    process = program(how)
    assert served_by(process.line()) == "saltare.compat.server"
    code, out = process.end(number)
    assert code == 0, process.errors
    told = [f"handle_exit({number:d})"] if how == "handling" else []
    assert out.splitlines() == [*told, "shut down", "returned"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asyncio_run_of_serve_raises_the_signal_again(program, number):
    """After the app's shutdown: SIGTERM ends the process, and SIGINT is a KeyboardInterrupt."""
    process = program("serve")
    assert served_by(process.line()) == "saltare.compat.server"
    code, out = process.end(number)
    assert out == "shut down\n"
    if number == signal.SIGTERM:
        assert code == -signal.SIGTERM
    else:
        assert code == -signal.SIGINT or "KeyboardInterrupt" in process.errors


def test_a_program_that_handles_signals_itself(program):
    process = program("own_signals")
    process.line()
    assert process.end(signal.SIGTERM) == (0, "shut down\nreturned\n"), process.errors


def test_a_second_signal_cancels_requests(program, raw):
    process = program("slow")
    client = raw(int(process.line())).get()
    assert process.line() == "inside"
    while process.poll() is None:  # signals that come together count as one
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    assert process.returncode == 0, process.stderr.read()
    client.read_all()


# ---- a plain server ----


@pytest.mark.parametrize("options", [[], ["--workers", "1", "--limit-max-requests", "1000"], ["--loop", "uvloop"]])
def test_a_library_finds_should_exit_behind_the_handler(cli_server, options):
    """As sse-starlette looks for it, to end its streams: without it a stop would wait for them."""
    if "uvloop" in options:
        pytest.importorskip("uvloop")
    server = cli_server("stream_apps:by_getsignal", *options)
    with httpx.stream("GET", f"{server.url}/") as response:
        pieces = response.iter_text()
        assert next(pieces) == "False"
        os.kill(server.pid, signal.SIGTERM)
        assert "".join(pieces) == "True"
    assert server.wait() == 0
    assert "cancelled" not in server.logs()


def test_a_library_that_replaced_handle_exit(cli_server):
    """As older versions of sse-starlette do with uvicorn's class, which no one else would call here."""
    server = cli_server("stream_apps:by_replacement")
    with httpx.stream("GET", f"{server.url}/") as response:
        pieces = response.iter_text()
        assert next(pieces) == "False"
        os.kill(server.pid, signal.SIGTERM)
        assert "".join(pieces) == "True"
    assert server.wait() == 0


def test_handlers_of_the_loop_work_beside_it(cli_server):
    server = cli_server("stream_apps:with_loop_handler")
    assert httpx.get(server.url).text == "set"
    os.kill(server.pid, signal.SIGUSR1)
    wait_until(lambda: "loop handler" in server.logs())

"""--log-config may name classes in the app's folder, in each way to start; new code brings new classes."""

import json
import os
import signal
import sys
import textwrap

import pytest

from harness import wait_until
from rawsocket import Raw

FILTER = """
import logging

class Marked(logging.Filter):
    def filter(self, record):
        record.mark = {!r}
        return True
"""
APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("none")
    asyncio.get_running_loop().call_exception_handler({"message": "from the app"})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})
"""
CONFIG = {
    "version": 1,
    "filters": {"mark": {"()": "within.filters.Marked"}},
    "formatters": {"plain": {"format": "%(mark)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["mark"]}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}


@pytest.fixture
def folder(tmp_path):
    app = tmp_path / "app"
    (app / "within").mkdir(parents=True)
    (app / "marked.py").write_text(APP)
    mark(app, "old")
    (tmp_path / "log.json").write_text(json.dumps(CONFIG))
    return app


def mark(app, text):
    (app / "within" / "filters.py").write_text(FILTER.format(text))


def is_new(server):
    """Whether the worker that answers has the new class."""
    with Raw(server) as client:
        client.get("/", "Connection: close").read_response()
    return "new: from the app" in server.logs()


WAYS = ["", "--workers 2", "--workers 2 --no-preload", "--reload"]


@pytest.mark.parametrize("arguments", WAYS)
def test_it_may_name_a_class_of_the_app(cli_server, folder, tmp_path, arguments):
    """Also after SIGHUP, and where --app-dir is not the working directory."""
    if "reload" in arguments:
        pytest.importorskip("watchfiles")
    options = ("--app-dir", folder, "--log-config", tmp_path / "log.json")
    server = cli_server("marked:app", *options, *arguments.split(), cwd=tmp_path)
    assert "old: saltare" in server.logs()
    mark(folder, "new")
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: is_new(server), server.logs)
    assert server.stop() == 0


@pytest.mark.parametrize("arguments", ["", "--workers 2", "--workers 2 --no-preload"])
def test_a_class_that_changes_within_a_second(cli_server, folder, tmp_path, arguments):
    """Python compares only the second of the source's time, and its size."""
    source = folder / "within" / "filters.py"
    server = cli_server(
        "marked:app",
        *("--app-dir", folder, "--log-config", tmp_path / "log.json", *arguments.split()),
        cwd=tmp_path,
        env={"PYTHONDONTWRITEBYTECODE": ""},
    )
    assert "old: saltare" in server.logs()
    second = source.stat().st_mtime_ns // 1_000_000_000 * 1_000_000_000
    compiled = list((folder / "within" / "__pycache__").glob("filters.*.pyc"))
    assert compiled
    mark(folder, "new")
    os.utime(source, ns=(second, second + 900_000_000))  # in the second of the compilation, and after that
    for one in compiled:
        os.utime(one, ns=(second, second + 800_000_000))
    server.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: is_new(server), server.logs)
    assert server.stop() == 0
    if "--no-preload" not in arguments:  # then the master stays, with its classes
        assert "new: stopping" in server.logs()


@pytest.mark.parametrize("start", ["saltare.run('marked:app', {})", "uvicorn.run('marked:app', {})"])
def test_a_program_may_name_it_too(folder, tmp_path, start):
    import subprocess

    options = f"app_dir={str(folder)!r}, log_config={str(tmp_path / 'log.json')!r}, port=0"
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import saltare
        from saltare.compat import main as uvicorn

        {start.format(options)}
        """)
    )
    with open(tmp_path / "log", "w") as stderr:
        process = subprocess.Popen([sys.executable, program], stderr=stderr)
    try:
        wait_until(lambda: "old: saltare" in (tmp_path / "log").read_text(), (tmp_path / "log").read_text)
    finally:
        process.terminate()
        process.wait(30)

"""What type checkers report for programs that use saltare."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = '''
import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from types import FrameType
from typing import Any

import saltare
from saltare import AppError, ClientDisconnected, ConfigError, Server, StartError, run, running
from saltare.asgi import App, Receive, Scope, Send
from saltare.errors import ResponseError


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
            await send({"type": "http.response.body", "body": scope["raw_path"]})
        except ClientDisconnected as error:
            print(error.errno)


class Framework:
    """An app as frameworks annotate theirs."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None: ...


def make() -> App:
    return Framework()


def serve(server: Server) -> str:
    server.after_start = lambda: print(server.url)
    server.run()
    server.shutdown()
    workers: int = server.config.workers
    sources: str = server.config.sources["port"]
    graceful: bool = server.graceful and server.started and server.config.supervised()
    return f"{server.url or sources} {workers} {graceful}"


class Told(Server):
    def install_signal_handlers(self) -> None: ...

    async def startup(self, sockets: "Sequence[socket.socket] | None" = None) -> None:
        await super().startup(sockets=sockets)

    async def shutdown(self, sockets: "Sequence[socket.socket] | None" = None) -> None:
        await super().shutdown(sockets=sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.should_exit = True


async def embed() -> None:
    config = saltare.Config(app, host="127.0.0.1", port=0, log_level="info")
    config.load()
    server = Told(config)
    sock: socket.socket = config.bind_socket()
    await asyncio.gather(server.serve(sockets=[sock]), Server(config=config).serve())
    server.force_exit = server.should_exit or not server.started
    await server.shutdown()
    tasks: int = len(server.server_state.tasks) + len(server.server_state.connections)
    levels: dict[str, object] = saltare.config.LOGGING_CONFIG
    formatter = saltare.logging.AccessFormatter("%(message)s", use_colors=False)
    saltare.supervisors.Multiprocess(config, target=server.run, sockets=[sock]).run()
    print(tasks, levels, formatter, config.port, config.is_ssl)


def main() -> int:
    try:
        run("main:app", port=0)
        saltare.run(app, port=0, workers=2)
        run(make, factory=True)
        print(serve(Server(Framework(), bind=["127.0.0.1:0"])))
        asyncio.run(Server(app).serve())
        with running(app, port=0, lifespan="off") as server:
            url: str | None = server.url
            print(url, saltare.__version__.upper())
    except (AppError, ConfigError, StartError) as error:
        return error.exit_code
    except ResponseError as error:
        print(error.args)
    return 0
'''

MISTAKES = """
from saltare import Server, run, running
from saltare import nothing  # mistake
import saltare

saltare.nothing  # mistake
run(5)  # mistake
run("main:app").wait()  # mistake
server = Server("main:app")
server.url.upper()  # mistake
server.after_start = 5  # mistake
server.serving()  # mistake
server.should_exit = "yes"  # mistake
server.shutdown("now")  # mistake
saltare.Config()  # mistake
with running("main:app") as other:
    other.started + ""  # mistake
"""


def checked(command, tmp_path, text):
    """The line numbers that the checker rejects, and its output."""
    path = tmp_path / "program.py"
    path.write_text(text)
    environment = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    result = subprocess.run([*command, path], cwd=tmp_path, env=environment, capture_output=True, text=True)
    return sorted({int(line) for line in re.findall(r"program\.py:(\d+)\b.*error", result.stdout)}), result.stdout


def mistakes():
    return [number for number, line in enumerate(MISTAKES.splitlines(), 1) if line.endswith("# mistake")]


def test_mypy(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    cache = f"--cache-dir={tmp_path / 'cache'}"
    # silent: it checks the program, not the package
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", cache, "--no-error-summary"]
    assert checked(command, tmp_path, PROGRAM) == ([], "")
    assert checked(command, tmp_path, MISTAKES)[0] == mistakes()


@pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not on the PATH: pip install pyright")
def test_pyright(tmp_path):
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{ROOT}"], "strict": ["program.py"]}}')
    command = ["pyright", "--pythonpath", sys.executable]
    assert checked(command, tmp_path, PROGRAM)[0] == []
    assert set(mistakes()) <= set(checked(command, tmp_path, MISTAKES)[0])

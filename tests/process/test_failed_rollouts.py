"""Successors that hang or fail: what was requested meanwhile happens, and the workers that serve stay."""

import os
import signal

import pytest

from family import alive, name, wait_for_end, wait_for_workers, workers
from harness import wait_until

APP = """
import asyncio
import os
from pathlib import Path

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup" and HANGS:
                Path(f"hangs-{os.getpid()}").touch()
                await asyncio.sleep(3600)
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(VERSION))]})
    await send({"type": "http.response.body", "body": VERSION})
"""
LIMIT = ("--worker-start-timeout", "6s")
PRELOAD = pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
# Passes the trial and fails in the master.
ONCE = "if os.path.exists('once'):\n    raise ValueError('the second time')\nopen('once', 'w').close()\n"


class Deployed:
    """A folder with a version of the app, and a server of it."""

    def __init__(self, folder, cli_server, raw):
        self.folder, self._cli_server, self._raw = folder, cli_server, raw
        self._stamp = 1_700_000_000
        self.write("first")

    def write(self, version, text=APP, hangs="False"):
        """`hangs`: an expression of whether a worker's start-up hangs."""
        path = self.folder / "deployed.py"
        path.write_text(f"import os\nVERSION = {version.encode()!r}\nHANGS = {hangs}\n{text}")
        self._stamp += 2  # a .pyc is trusted when second and size are equal
        os.utime(path, (self._stamp, self._stamp))

    def serve(self, *options, **popen):
        self.server = self._cli_server("deployed:app", *options, cwd=self.folder, **popen)
        return self.server

    def hang_up(self):
        self.server.popen.send_signal(signal.SIGHUP)

    def version(self):
        return self._raw(self.server).get().read_response().body.decode()

    def becomes(self, expected):
        wait_until(lambda: self.version() == expected, self.server.logs)

    def hanging(self):
        """The pid of a worker whose start-up hangs."""
        found = []

        def there():
            found[:] = [int(path.name.partition("-")[2]) for path in self.folder.glob("hangs-*")]
            return any(map(alive, found))

        wait_until(there, lambda: self.server.logs())
        return next(pid for pid in found if alive(pid))


@pytest.fixture
def deployed(tmp_path, cli_server, raw):
    folder = tmp_path / "app"
    folder.mkdir()
    return Deployed(folder, cli_server, raw)


@PRELOAD
def test_a_deployment_while_a_successor_hangs(deployed, preload):
    server = deployed.serve("--workers", "2", preload, *LIMIT)
    before = workers(server)
    deployed.write("hangs", hangs="True")
    deployed.hang_up()
    hanging = deployed.hanging()
    deployed.write("mended")
    deployed.hang_up()
    if preload == "--no-preload":
        server.wait_for_log(f"are replaced again after worker 1 (pid {hanging}), which does not serve yet")
    deployed.becomes("mended")
    wait_for_end([hanging, *before])
    assert server.stop() == 0


def test_a_successor_that_hangs_is_killed_by_a_new_master(deployed):
    """Which could not load the newest code: that is all that happens."""
    server = deployed.serve("--workers", "2", "--preload", *LIMIT)
    before = workers(server)
    deployed.write("hangs", hangs="True")
    deployed.hang_up()
    hanging = deployed.hanging()
    deployed.write("broken", text=ONCE + APP)
    deployed.hang_up()
    server.wait_for_log("the new code cannot be loaded; the workers keep serving the old code")
    wait_for_end([hanging])
    server.wait_for_log("did not start within 6 s: killing it")
    assert workers(server) == before
    deployed.write("mended")
    deployed.hang_up()
    deployed.becomes("mended")
    assert server.stop() == 0


FEWER = """
import asyncio
import signal

async def fewer():
    reader, writer = await asyncio.open_unix_connection("socket")
    writer.write(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    assert await reader.read(1)
    os.kill(os.getppid(), signal.SIGTTOU)
    await asyncio.sleep(3600)
"""


def test_a_start_is_over_once_those_still_wanted_serve(deployed):
    """Worker 2 never serves, but asks for one worker fewer when the other one does. New code that breaks ends nothing."""
    second = "open('/proc/self/comm').read() == 'saltare:wkr2\\n'"
    deployed.write("first", text=FEWER + APP.replace("asyncio.sleep(3600)", "fewer()"), hangs=second)
    server = deployed.serve("--workers", "2", "--no-preload", "--uds", "socket")
    assert ", 1 worker, " in server.logs()
    deployed.write("broken", text="def app(:")
    deployed.hang_up()
    server.wait_for_log("before it served; worker 1 ")
    assert deployed.version() == "first"
    assert server.stop() == 0


SOON = "import saltare.prefork.rollout\nsaltare.prefork.rollout.LONGEST_PAUSE = 0.5\n"  # imported by the master
THIRD_FAILS = """
async def third_fails():
    if len(list(Path().glob("hangs-*"))) == 3:
        while not Path("fail").exists():
            await asyncio.sleep(0.01)
        os._exit(1)
"""


def test_each_worker_at_a_limit_is_replaced_after_the_successor_of_one_has_failed(deployed):
    deployed.write("first", text=SOON + THIRD_FAILS + APP.replace("asyncio.sleep(3600)", "third_fails()"), hangs="True")
    server = deployed.serve("--workers", "2", "--preload", "--limit-max-requests", "5")
    before = workers(server)
    wait_until(lambda: deployed.version() and server.logs().count("is replaced: ") == 2, server.logs)
    (deployed.folder / "fail").touch()
    server.wait_for_log("before it served; worker ")
    wait_for_workers(server, 2, without=before)
    assert server.stop() == 0


def test_a_new_master_knows_which_workers_are_at_a_limit(deployed):
    """Even one that cannot load its code, and whose first successor fails."""
    deployed.write("first", text=THIRD_FAILS + APP.replace("asyncio.sleep(3600)", "third_fails()"), hangs="True")
    server = deployed.serve("--workers", "2", "--preload", "--limit-max-requests", "5")
    before = workers(server)
    wait_until(lambda: deployed.version() and server.logs().count("is replaced: ") == 2, server.logs)
    deployed.write("broken", text=SOON + ONCE + APP)
    deployed.hang_up()
    server.wait_for_log("the new code cannot be loaded; the workers keep serving the old code")
    deployed.write("mended")
    (deployed.folder / "fail").touch()
    server.wait_for_log("before it served; worker ")
    wait_for_workers(server, 2, without=before)
    assert server.stop() == 0


def test_a_dead_worker_does_not_stay(deployed):
    """The one that is replaced dies while its successor starts; then the successor dies. Another one starts."""
    server = deployed.serve("--workers", "2", "--no-preload")
    before = workers(server)
    deployed.write("hangs", hangs="True")
    deployed.hang_up()
    successor = deployed.hanging()
    (old,) = [pid for pid in before if name(pid) == name(successor)]
    os.kill(old, signal.SIGKILL)
    server.wait_for_log(f"(pid {old}) was killed by SIGKILL")
    deployed.write("mended")
    os.kill(successor, signal.SIGKILL)
    server.wait_for_log(f"(pid {successor}) was killed by SIGKILL")
    wait_for_workers(server, 2, without=before)
    deployed.becomes("mended")
    assert " stays" not in server.logs()
    assert server.stop() == 0

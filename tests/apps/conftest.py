"""Fixtures of the application tests: the drivers of the loop, and the services that apps use."""

import asyncio
import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import saltare
from harness import HANG, starter, wait_until

sys.path.insert(0, str(Path(__file__).parent))  # the apps are modules of this folder, as for the command line


@contextlib.contextmanager
def as_guest(app, **options):
    """`await Server.serve()` in a loop that already runs, in a thread of its own."""
    server = saltare.Server(app, **options)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lambda: asyncio.run(server.serve()))
        wait_until(lambda: server.started or ended.done())
        if ended.done():
            ended.result()
        try:
            yield server
        finally:
            server.shutdown()
            ended.result(2 * HANG)  # longer than shutdown_timeout


def on_uvloop(app, **options):
    pytest.importorskip("uvloop", reason="uvloop is not installed for this Python")
    return saltare.running(app, loop="uvloop", **options)


DRIVERS = {"asyncio": saltare.running, "uvloop": on_uvloop, "guest": as_guest}


@pytest.fixture(params=DRIVERS)
def serve_on(request):
    """`serve` on each driver: our selector under asyncio, a guest of uvloop, a guest of another asyncio loop."""
    with starter(DRIVERS[request.param]) as start:
        yield start


@pytest.fixture
def client(server):
    """A client of the `server` of the test file."""
    with httpx.Client(base_url=server.url, timeout=25) as client:
        yield client

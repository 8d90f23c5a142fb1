"""Fixtures of the wire tests: both drivers, and waiting for what happens elsewhere. Per process."""

import time

import pytest

from harness import HANG


@pytest.fixture(params=["asyncio", "uvloop"])
def serve_by(request, serve):
    """`serve` on each driver: the core as asyncio's selector, and as a guest of uvloop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed for this Python")
    return lambda app, **options: serve(app, loop=request.param, **options)


@pytest.fixture
def wait_for():
    """wait_for(condition): until it holds; the test fails when it never does."""

    def wait(condition, message="it never happened"):
        deadline = time.monotonic() + HANG
        while not (value := condition()):
            assert time.monotonic() < deadline, message
            time.sleep(0.002)
        return value

    return wait

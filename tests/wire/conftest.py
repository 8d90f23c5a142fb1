"""Fixtures of the wire tests: a server on each driver. Per process."""

import pytest


@pytest.fixture(params=["asyncio", "uvloop"])
def serve_by(request, serve):
    """`serve` on each driver: the core as asyncio's selector, and as a guest of uvloop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed for this Python")
    return lambda app, **options: serve(app, loop=request.param, **options)

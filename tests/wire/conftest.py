"""Fixtures of the wire tests: a server on each driver."""

import contextlib

import pytest

from frames import Peer


@pytest.fixture(params=["asyncio", "uvloop"])
def serve_by(request, serve):
    """`serve` on each driver: the core as asyncio's selector, and as a guest of uvloop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed for this Python")
    return lambda app, **options: serve(app, loop=request.param, **options)


@pytest.fixture
def meet(serve):
    """Connects WebSocket peers to a server; closed before the server ends, as it would wait for them."""
    with contextlib.ExitStack() as stack:
        yield lambda *to, **options: stack.enter_context(Peer(*to, **options))

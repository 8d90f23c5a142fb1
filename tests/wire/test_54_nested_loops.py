"""The loop as the app sees it before its first await: nested runs within a step, debug mode, the current task."""

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import time

import pytest

from harness import HANG

HELLO = [
    {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]},
    {"type": "http.response.body", "body": b"ok"},
]


async def answer(send):
    for message in HELLO:
        await send(message)


# ---- the current task ----


def test_the_task_before_the_first_await(serve_by, raw):
    seen = {}

    async def app(scope, receive, send):
        task = asyncio.current_task()
        seen.update(
            current=task is not None, listed=task in asyncio.all_tasks(), name=task.get_name(), done=task.done()
        )
        async with asyncio.Lock():
            pass
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.sleep(HANG), 0.01)
        await answer(send)

    server = serve_by(app, lifespan="off")
    assert raw(server).get().read_response().body == b"ok"
    assert seen == {"current": True, "listed": True, "name": "request", "done": False}


def test_a_timeout_before_the_first_await(serve_by, raw):
    if not hasattr(asyncio, "timeout"):
        pytest.skip("asyncio.timeout is of Python 3.11")

    async def app(scope, receive, send):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(HANG)
        await answer(send)

    assert raw(serve_by(app, lifespan="off")).get().read_response().body == b"ok"


def test_cancel_scopes_before_the_first_await(serve_by, raw):
    anyio = pytest.importorskip("anyio")

    async def app(scope, receive, send):
        with anyio.CancelScope() as outer:
            outer.cancel()
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep, 0)
            await anyio.sleep(HANG)
        with anyio.move_on_after(0.01) as late:
            await anyio.sleep(HANG)
        assert outer.cancelled_caught and late.cancelled_caught
        await answer(send)

    assert raw(serve_by(app, lifespan="off")).get().read_response().body == b"ok"


def test_what_inspect_says_of_the_coroutine(serve, raw):
    import inspect

    states = []

    async def app(scope, receive, send):
        run = asyncio.current_task().get_coro()
        states.append(inspect.getcoroutinestate(run))
        asyncio.get_running_loop().call_soon(lambda: states.append(inspect.getcoroutinestate(run)))
        await asyncio.sleep(0.01)
        await answer(send)

    assert raw(serve(app, lifespan="off")).get().read_response().body == b"ok"
    assert states == [inspect.CORO_RUNNING, inspect.CORO_SUSPENDED]


# ---- debug mode ----


class App:
    """An app that is a callable object."""

    async def __call__(self, scope, receive, send):
        asyncio.get_running_loop().slow_callback_duration = 0.02
        if scope["path"] == "/later":
            await asyncio.sleep(0)
        time.sleep(0.03)
        await answer(send)


async def app_in_debug(scope, receive, send):
    await App()(scope, receive, send)


NAMES = [(App(), "App.__call__()"), (app_in_debug, "app_in_debug()")]


@pytest.mark.parametrize("path", ["/", "/later"], ids=["before the first await", "later"])
@pytest.mark.parametrize(("app", "name"), NAMES, ids=["object", "function"])
def test_debug_mode_names_who_blocks(serve_by, raw, caplog, monkeypatch, app, name, path):
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    caplog.set_level(logging.WARNING, logger="asyncio")
    server = serve_by(app, lifespan="off")
    assert raw(server).get(path).read_response().body == b"ok"
    # The first request sets the threshold, in a step that is itself measured against it.
    server.stop()
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Executing")]
    assert any(name in line and "test_54_nested_loops.py" in line for line in lines), lines
    assert not any("without __name__" in line for line in lines), lines


def test_a_task_is_named_by_its_app(serve, raw):
    lines = []

    async def app(scope, receive, send):
        lines.append(repr(asyncio.current_task()))
        await asyncio.sleep(0)
        lines.append(repr(asyncio.current_task()))
        await answer(send)

    assert raw(serve(app, lifespan="off")).get().read_response().body == b"ok"
    for line in lines:
        assert "test_a_task_is_named_by_its_app.<locals>.app() running at" in line


def test_debug_mode_that_is_switched_on_and_off(serve, raw):
    async def app(scope, receive, send):
        asyncio.get_running_loop().set_debug(scope["path"] == "/debug")
        await answer(send)

    peer = raw(serve(app, lifespan="off"))
    for path in ("/", "/debug", "/debug", "/", "/"):
        assert peer.get(path).read_response().body == b"ok"


# ---- a loop run within a step ----

PROGRAM = """
    import asyncio, faulthandler, sys, threading, time
    import nest_asyncio
    import saltare
    from rawsocket import Raw

    START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    BODY = {"type": "http.response.body", "body": b"ok"}
    WHEN = sys.argv[1]
    faulthandler.dump_traceback_later(float(sys.argv[3]), exit=True)
    if WHEN == "at import":
        nest_asyncio.apply()

    async def sleeps(n=3):
        for _ in range(n):
            await asyncio.sleep(0.001)
        return asyncio.current_task()

    async def reads(receive):
        return await receive()

    async def app(scope, receive, send):
        path = scope["path"]
        called.append(path)
        if WHEN != "at import":
            nest_asyncio.apply()
        loop = asyncio.get_running_loop()
        if path == "/await first":
            await asyncio.sleep(0)
        task = asyncio.current_task()
        if path != "/plain":
            assert loop.run_until_complete(sleeps()) is not task
        if path == "/waits for another":
            loop.run_until_complete(other_came.wait())
        if path == "/is another":
            other_came.set()
        if path == "/reads":
            assert loop.run_until_complete(reads(receive))["body"] == b"abc"
        assert asyncio.current_task() is task
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        await send(START)
        await send(BODY)

    def ask(server, *paths):
        called.clear()
        raws = [Raw(int(server.url.rpartition(":")[2])) for _ in paths]
        for raw, path in zip(raws, paths):
            # A loop within a step ends before the one that it was started in: the others must not be started in this one's.
            while path == "/is another" and len(called) < len(paths) - 1:
                time.sleep(0.001)
            raw.get(path.replace(" ", "%20"))
        for raw in raws:
            assert raw.read_response().body == b"ok"
            raw.close()

    def all_ways(server):
        ask(server, "/")
        ask(server, "/plain")
        ask(server, "/await first")
        ask(server, *["/", "/plain", "/await first"] * 10)
        ask(server, "/waits for another", "/is another")
        other_came.clear()
        ask(server, *["/waits for another"] * 3, "/plain", "/is another")
        raw = Raw(int(server.url.rpartition(":")[2]))
        raw.send(b"POST /reads HTTP/1.1\\r\\nHost: test\\r\\nContent-Length: 3\\r\\n\\r\\n")
        ask(server, "/plain")
        raw.send(b"abc")
        assert raw.read_response().body == b"ok"
        raw.close()

    other_came = asyncio.Event()
    called = []
    if sys.argv[2] == "selector":
        with saltare.running(app, port=0, lifespan="off") as server:
            all_ways(server)
    else:
        async def main():
            server = saltare.Server(app, port=0, lifespan="off")
            task = asyncio.ensure_future(server.serve())
            while not server.started:
                await asyncio.sleep(0.001)
            try:
                await asyncio.get_running_loop().run_in_executor(None, all_ways, server)
            finally:
                server.shutdown()
                await task
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
    from saltare._core import live
    import gc
    gc.collect()
    assert not any(live().values()), live()
    print("served")
"""


@pytest.mark.parametrize("driver", ["selector", "guest"])
@pytest.mark.parametrize("when", ["at import", "in the handler"])
@pytest.mark.parametrize("debug", ["", "1"], ids=["quiet", "debug"])
def test_a_nested_run_until_complete(when, driver, debug):
    pytest.importorskip("nest_asyncio")
    tests = os.path.dirname(os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(PROGRAM), when, driver, str(HANG)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]),
            "PYTHONASYNCIODEBUG": debug,
        },
        capture_output=True,
        text=True,
        timeout=2 * HANG,
    )
    assert done.returncode == 0 and done.stdout == "served\n", f"{done.returncode}:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("first", [True, False])
def test_without_nest_asyncio_it_is_refused_as_by_asyncio(serve, raw, first):
    errors = []

    async def app(scope, receive, send):
        if not first:
            await asyncio.sleep(0)
        coroutine = asyncio.sleep(0)
        try:
            asyncio.get_running_loop().run_until_complete(coroutine)
        except RuntimeError as error:
            errors.append(str(error))
        coroutine.close()
        await answer(send)

    assert raw(serve(app, lifespan="off")).get().read_response().body == b"ok"
    assert errors == ["This event loop is already running"]

"""The lifespan protocol: order, modes, failures, and what the process logs about them."""

import asyncio
import subprocess
import sys

import httpx
import pytest

from app_asgi import answer, hello
from app_lifespan import App
from harness import wait_until
from saltare.errors import AppError


def test_order(serve_on):
    app = App()
    server = serve_on(app)
    assert app.events == ["lifespan.startup"]
    assert httpx.get(server.url).status_code == 200
    server.stop()
    assert app.events == ["lifespan.startup", "request", "lifespan.shutdown"]


def test_scope(serve):
    app = App()
    serve(app)
    assert app.scope["type"] == "lifespan"
    assert app.scope["asgi"]["version"] == "3.0"
    assert app.scope["asgi"].get("spec_version", "1.0") in ("1.0", "2.0")
    assert app.scope["state"] == {}


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_startup_that_failed_ends_the_start(serve_on, mode):
    with pytest.raises(AppError, match="startup failed, says the app"):
        serve_on(App(startup="failed"), lifespan=mode)


def test_an_app_without_lifespan_is_served_in_auto(serve_on):
    assert httpx.get(serve_on(hello).url).text == "Hello, world!"


def test_an_app_that_raises_in_startup(serve):
    assert httpx.get(serve(App(startup="raise"), lifespan="auto").url).status_code == 200
    with pytest.raises(AppError):
        serve(App(startup="raise"), lifespan="on")


def test_off(serve):
    app = App()
    server = serve(app, lifespan="off")
    httpx.get(server.url)
    server.stop()
    assert app.events == ["request"]


@pytest.mark.parametrize("how", ["raise", "failed"])
def test_shutdown_that_fails_is_logged(serve_on, how):
    server = serve_on(App(shutdown=how))
    httpx.get(server.url)
    server.stop()
    assert ("shutdown raised" if how == "raise" else "shutdown failed, says the app") in server.logs()


def test_what_startup_begins_lives_as_long_as_the_server(serve_on):
    """Tasks, and an async context manager held by a task of the lifespan, as connection pools do."""
    events = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            return await answer(send, str(scope["state"]["ticks"][0]).encode())
        await receive()
        ticks = scope["state"]["ticks"] = [0]

        async def tick():
            while True:
                ticks[0] += 1
                await asyncio.sleep(0.001)

        task = asyncio.create_task(tick())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        events.append("ticks are over")
        await send({"type": "lifespan.shutdown.complete"})

    server = serve_on(app)
    first = int(httpx.get(server.url).text)
    wait_until(lambda: int(httpx.get(server.url).text) > first)
    server.stop()
    assert events == ["ticks are over"]


def test_a_lifespan_that_returns_early_is_served(serve):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            return await hello(scope, receive, send)
        await receive()
        await send({"type": "lifespan.startup.complete"})

    server = serve(app)
    assert httpx.get(server.url).status_code == 200


@pytest.mark.parametrize(("name", "said"), [("failing", "startup failed, says the app"), ("raising", "startup raised")])
def test_exit_code_of_a_failed_start(request, name, said):
    command = [sys.executable, "-m", "saltare", f"app_lifespan:{name}", "--lifespan", "on", "--port", "0"]
    done = subprocess.run(command, cwd=request.path.parent, capture_output=True, text=True, timeout=30)
    assert done.returncode == 3, done.stderr
    assert said in done.stderr

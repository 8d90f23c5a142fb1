"""The lifespan protocol: order, modes, failures, and what the process says of them. Per process."""

import asyncio
import subprocess
import sys

import httpx
import pytest

from app_asgi import answer, hello
from saltare.errors import AppError


class App:
    """Goes through the lifespan as told by `steps`, and keeps what happened."""

    def __init__(self, startup="complete", shutdown="complete"):
        self.startup, self.shutdown = startup, shutdown
        self.events = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.events.append("request")
            return await hello(scope, receive, send)
        assert scope["type"] == "lifespan"
        self.scope = scope
        for phase in ("startup", "shutdown"):
            message = await receive()
            self.events.append(message["type"])
            await self.step(phase, send)
        return None

    async def step(self, phase, send):
        how = getattr(self, phase)
        if how == "raise":
            raise RuntimeError(f"{phase} raised")
        message = {"type": f"lifespan.{phase}.{how}"}
        if how == "failed":
            message["message"] = f"{phase} failed, says the app"
        await asyncio.sleep(0.01)
        await send(message)


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
    """Tasks, and an async context manager that a task of the lifespan holds, as connection pools do."""
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
    while int(httpx.get(server.url).text) <= first:
        pass
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


failing = App(startup="failed")
raising = App(startup="raise")


@pytest.mark.parametrize(("name", "said"), [("failing", "startup failed, says the app"), ("raising", "startup raised")])
def test_exit_code_of_a_failed_start(request, name, said):
    command = [sys.executable, "-m", "saltare", f"{request.path.stem}:{name}", "--lifespan", "on", "--port", "0"]
    done = subprocess.run(command, cwd=request.path.parent, capture_output=True, text=True, timeout=30)
    assert done.returncode == 3, done.stderr
    assert said in done.stderr

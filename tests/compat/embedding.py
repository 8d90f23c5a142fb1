"""Apps and servers for tests of embedding."""

import asyncio
import contextlib
import threading

import saltare
from harness import HANG, wait_until


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def with_lifespan(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["name"] = "kept"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await app(scope, receive, send)


async def failing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


def config(application=app, **options):
    return saltare.Config(application, **{"port": 0, "log_config": None, "lifespan": "off", **options})


@contextlib.contextmanager
def in_thread(server, **options):
    """`run` in a thread, as programs do it: they poll `started`, and set `should_exit` at the end."""
    thread = threading.Thread(target=server.run, kwargs=options)
    server.started = False  # after a run it stays true
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    try:
        yield thread
    finally:
        server.should_exit = True
        thread.join(HANG)
        assert not thread.is_alive()


def url_of(server):
    host, port = server.servers[0].sockets[0].getsockname()
    return f"http://{host}:{port}/"


async def started(server):
    while not server.started:
        await asyncio.sleep(0.001)

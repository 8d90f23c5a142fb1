"""Apps for workers of gunicorn. Its lifespan, and the hooks of gunicorn_hooks.py, write into the file $REPORTS."""

import asyncio
import os
import sys
import time

CORE_AT_IMPORT = any(name.startswith("saltare._core") for name in sys.modules)


def report(text):
    if "REPORTS" in os.environ:
        with open(os.environ["REPORTS"], "a") as file:
            file.write(f"{os.getpid()} {text}\n")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            report(kind)
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    body = str(os.getpid())
    if scope["path"] == "/block":
        report("blocked")
        time.sleep(60)
    elif scope["path"] == "/sleep":
        report("asleep")
        await asyncio.sleep(1)
    elif scope["path"] == "/forever":
        report("asleep")
        await asyncio.sleep(60)
    elif scope["path"] == "/scope":
        body = repr((scope["client"] and scope["client"][0], scope["scheme"], scope["root_path"]))
    elif scope["path"] == "/core":
        body = str(CORE_AT_IMPORT)
    headers = [(b"content-length", b"%d" % len(body)), (b"x-from", b"app")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def factory():
    return app


async def fails(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})


def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b""]


def asgi2(scope):
    return app

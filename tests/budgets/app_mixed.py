"""An app that responds in every way, and finally reports what the core still holds."""

import asyncio
import atexit
import os

LARGE = bytes(range(256)) * 400


def report():
    from saltare._core import live

    with open(os.environ["BUDGET_REPORT"], "w") as file:
        file.write(repr(live()))


atexit.register(report)


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await ANSWERS[scope["path"]](scope, receive, send)


def start(status=200, **headers):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def small(scope, receive, send):
    await send(start(content_length="5"))
    await send({"type": "http.response.body", "body": b"hello"})


async def large(scope, receive, send):
    await send(start(content_length=str(len(LARGE))))
    await send({"type": "http.response.body", "body": bytes(LARGE)})


async def stream(scope, receive, send):
    await send(start())
    for _ in range(4):
        await send({"type": "http.response.body", "body": bytes(LARGE[:20_000]), "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})


async def echo(scope, receive, send):
    await send(start())
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


async def fail(scope, receive, send):
    raise ValueError("on purpose")


async def unread(scope, receive, send):
    await send(start(404, content_length="0"))
    await send({"type": "http.response.body"})


async def polled(scope, receive, send):
    await receive()
    waiting = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    await small(scope, receive, send)


async def endless(scope, receive, send):
    await send(start())
    while True:
        await send({"type": "http.response.body", "body": bytes(LARGE), "more_body": True})


ANSWERS = {f"/{answer.__name__}": answer for answer in (small, large, stream, echo, fail, unread, polled, endless)}

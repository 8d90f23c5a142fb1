"""Requests that wait for their peers, for a time or for an outside event, and what the core holds meanwhile."""

import asyncio
import json

PIECES = {"/pieces": b"x" * 4000, "/large": b"x" * 20_000}  # the core copies small ones and borrows others
WAIT = 5  # seconds: a quiet period begins within


class Uploads:
    """Bytes received so far."""

    seen = 0


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        return await talk(receive, send)
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/live":
        from saltare._core import live

        return await answer(send, json.dumps(live() | {"uploaded": Uploads.seen}).encode())
    if piece := PIECES.get(scope["path"]):
        return await pour(send, piece)
    if scope["path"] == "/wait":
        await asyncio.sleep(WAIT)
    elif scope["path"] == "/upload":
        await read(receive)
    await answer(send, b"hello")


async def read(receive):
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        Uploads.seen += len(message.get("body", b""))


async def pour(send, piece):
    """Responds until the peer disconnects."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def talk(receive, send):
    """Floods every peer that sends something."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        for _ in range(100):
            await send({"type": "websocket.send", "bytes": PIECES["/pieces"]})


async def answer(send, body):
    fields = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})

"""Requests that wait for their peers, or for a word from outside, and what the core holds meanwhile. Per request."""

import asyncio
import json

PIECE = b"x" * 4000  # small enough to be copied
LARGE = b"x" * 20_000  # borrowed
gate = asyncio.Event()
uploaded = 0


async def app(scope, receive, send):
    global gate, uploaded
    if scope["type"] == "websocket":
        await talk(receive, send)
        return
    if scope["type"] != "http":
        raise NotImplementedError
    path = scope["path"]
    if path == "/live":
        from saltare._core import live

        return await answer(send, json.dumps(live() | {"uploaded": uploaded}).encode())
    if path == "/open":
        gate.set()
        gate, uploaded = asyncio.Event(), 0
    elif path == "/wait":
        await gate.wait()
    elif path == "/sleep":
        await asyncio.sleep(10)
    elif path in ("/pieces", "/large"):
        return await pour(send, PIECE if path == "/pieces" else LARGE)
    elif scope["method"] == "POST":
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            uploaded += len(message.get("body", b""))
    await answer(send, b"hello")


async def pour(send, piece):
    """For as long as the peer is there."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def talk(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "bytes": PIECE * 250})


async def answer(send, body):
    fields = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})

"""Plain ASGI over WebSocket: /echo/... returns each message, /broadcast/ROOM sends it to all clients of the room."""

import asyncio
from collections import defaultdict

from raw import app as answer

rooms = defaultdict(set)


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        await answer(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"].startswith("/echo"):
        await echo(receive, send)
        return
    there = rooms[scope["path"]]
    there.add(send)
    await broadcast(receive, there)
    there.discard(send)


async def echo(receive, send):
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


async def broadcast(receive, there):
    while (message := await receive())["type"] == "websocket.receive":
        out = {"type": "websocket.send", "bytes": message["bytes"]}
        await asyncio.gather(*[send(out) for send in there], return_exceptions=True)  # some may just be leaving

"""Plain ASGI over WebSocket: /echo sends back what came, /broadcast sends it to everybody there. Per message."""

import asyncio

from raw import app as answer

there = set()


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        await answer(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"] == "/echo":
        await echo(receive, send)
    else:
        there.add(send)
        await broadcast(receive)
        there.discard(send)


async def echo(receive, send):
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


async def broadcast(receive):
    while (message := await receive())["type"] == "websocket.receive":
        out = {"type": "websocket.send", "bytes": message["bytes"]}
        await asyncio.gather(*[send(out) for send in there])

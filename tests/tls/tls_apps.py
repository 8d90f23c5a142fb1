"""Apps for the tests of TLS."""

import asyncio
import hashlib
import json
import os


async def app(scope, receive, send):
    """Says what it sees, or does what the path asks for."""
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    if scope["type"] == "websocket":
        return await echo(scope, receive, send)
    digest, more = hashlib.sha256(), True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    path = scope["path"]
    if path.startswith("/bytes/"):
        return await answer(send, bytes(range(256)) * (int(path[7:]) // 256))
    if path == "/digest":
        return await answer(send, digest.hexdigest().encode())
    if path == "/slow":
        await asyncio.sleep(0.2)
    if path == "/file":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        return await send({"type": "http.response.pathsend", "path": os.environ["FILE_TO_SEND"]})
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(100):
            await send({"type": "http.response.body", "body": b"%d\n" % number, "more_body": True})
        return await send({"type": "http.response.body"})
    if path == "/scope":
        return await answer(send, json.dumps({name: scope[name] for name in ("client", "server", "scheme")}).encode())
    if path == "/tls":
        return await answer(send, json.dumps(scope["extensions"].get("tls")).encode())
    await answer(send, scope["scheme"].encode())


async def answer(send, body):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    said = json.dumps(scope["extensions"].get("tls")) if scope["path"] == "/tls" else scope["scheme"]
    await send({"type": "websocket.send", "text": said})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def changes(scope, receive, send):
    """Says how many items the extension has, and adds one."""
    if scope["type"] == "http":
        found = scope["extensions"]["tls"]
        await answer(send, str(len(found)).encode())
        found["own"] = found["server_cert"] = True

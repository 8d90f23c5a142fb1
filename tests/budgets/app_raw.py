"""Requests of several kinds, answered without a framework."""

import json
import sys

HELLO = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("no lifespan")
    body = b""
    more = scope["method"] == "POST"
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    if scope["path"] == "/chunks":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": body or b"piece", "more_body": True})
        await send({"type": "http.response.body"})
        return
    answer = body or b"hello"
    headers = HELLO if not body else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def modules(scope, receive, send):
    """Responds with the modules that its process has loaded."""
    if scope["type"] != "http":
        raise ValueError("no lifespan")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(list(sys.modules)).encode()})

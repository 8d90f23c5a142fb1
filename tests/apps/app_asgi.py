"""Bare ASGI apps and the few lines they share."""

import hashlib
import json


async def body_of(receive):
    """The whole request body; None when the client disconnected before its end."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)


async def answer(send, body=b"", status=200, headers=()):
    fields = [(b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def hello(scope, receive, send):
    assert scope["type"] == "http"
    await answer(send, b"Hello, world!", headers=[(b"content-type", b"text/plain")])


async def echo(scope, receive, send):
    """Responds with what it received, as JSON; ?stream=N responds with N bytes in pieces of 16 KiB instead."""
    assert scope["type"] == "http"
    if scope["query_string"].startswith(b"stream="):
        return await stream(int(scope["query_string"][7:]), send)
    body = await body_of(receive)
    if body is None:
        return
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "version": scope["http_version"],
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "client": list(scope["client"]),
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    await answer(send, json.dumps(seen).encode(), headers=[(b"content-type", b"application/json")])


async def stream(size, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    while size > 0:
        piece = b"x" * min(size, 16384)
        size -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


def lifespan_with(state, serve_http):
    """`serve_http` behind a lifespan that sets `state` for the requests."""

    async def app(scope, receive, send):
        if scope["type"] != "lifespan":
            return await serve_http(scope, receive, send)
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"].update(state)
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        await send({"type": "lifespan.shutdown.complete"})

    return app


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def sends(*messages):
    """An app that sends these messages for every request; on /ok it responds correctly."""

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/ok":
            return await hello(scope, receive, send)
        for message in messages:
            await send(message)

    return app

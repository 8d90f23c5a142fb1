"""An app that reads request bodies, and reports what the core holds."""

import json


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    if scope["path"] == "/live":
        from saltare._core import live

        await answer(send, json.dumps(live()).encode())
    elif await read(receive):
        await answer(send, b"hello")


async def read(receive):
    """False when the peer disconnected before the end of its body."""
    while (message := await receive())["type"] == "http.request":
        if not message["more_body"]:
            return True
    return False


async def answer(send, body):
    fields = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})

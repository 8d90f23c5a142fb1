"""Requests of several kinds, answered without a framework. Per request."""

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
    if scope["path"] == "/live":
        body = repr(live()).encode()
    answer = body or b"hello"
    headers = HELLO if not body else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def live():
    """The core's counters while this very request is in the app's hands."""
    from saltare._core import live

    return live()

"""An app that keeps memory, for tracemalloc_path."""

KEPT = [bytes(1000) for _ in range(5000)]  # line 3


async def app(scope, receive, send):
    body = b"app"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})

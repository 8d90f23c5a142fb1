"""An app that says whether a module is loaded: that of figures, or tracemalloc."""

import sys


async def app(scope, receive, send):
    """A path of /waits waits until the client has gone."""
    while scope["path"] == "/waits" and (await receive())["type"] != "http.disconnect":
        pass
    body = str(("tracemalloc" if scope["path"] == "/tracemalloc" else "saltare.serve.figures") in sys.modules).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})

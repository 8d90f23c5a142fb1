"""Responds with what the scope says of the client and the server."""


async def app(scope, receive, send):
    body = repr({name: scope[name] for name in ("client", "scheme", "server", "root_path")}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})

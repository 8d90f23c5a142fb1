"""The ASGI app of the compared servers: it responds with the method, target and body of the request."""


async def read_body(receive):
    """The whole body; None when the peer disconnected before its end."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only requests here")
    body = await read_body(receive)
    if body is None:
        return
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    headers = [(b"seen", scope["method"].encode() + b" " + target), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

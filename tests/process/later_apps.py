"""An app that tells whether ssl is loaded, before and after it speaks TLS. Per process."""

import sys

import tls_clients


async def app(scope, receive, send):
    if scope["path"] == "/speak":
        await tls_clients.speak()
    body = b"loaded" if "_ssl" in sys.modules else b"put off"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})

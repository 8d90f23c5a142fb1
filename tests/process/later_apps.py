"""An app that tells whether ssl is loaded, before and after it connects or speaks TLS. Per process."""

import asyncio
import os
import sys

import tls_clients


async def app(scope, receive, send):
    body = b"loaded" if "_ssl" in sys.modules else b"put off"
    if scope["path"] == "/speak":
        await tls_clients.speak()
        body = b"spoken" if "_ssl" in sys.modules else b"?"
    elif scope["path"] == "/connect":
        _, writer = await asyncio.open_connection(*scope["server"])
        writer.close()
        body = b"loaded" if sys.modules["_ssl"] else b"not there"
    elif scope["path"] == "/environment":
        body = str(os.environ.get("GOMAXPROCS")).encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})

"""Apps for the tests of the command line."""

import json
import os
import sys


async def lifespan(receive, send):
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    """Responds with what it sees of the server and of its process."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    seen = {
        "pid": os.getpid(),
        "server": scope["server"],
        "root_path": scope["root_path"],
        "modules": sorted(sys.modules),
        "from_env_file": os.environ.get("FROM_ENV_FILE"),
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


def make():
    return app


async def does_not_start(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the database is away"})


async def raises(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    raise ValueError("of the app")

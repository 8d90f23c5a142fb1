"""An app for tests of the access log: responds with the worker's pid, after a time if the path gives one."""

import asyncio
import os
import sys


async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"].startswith("/sleeps/"):
        await asyncio.sleep(float(scope["path"].removeprefix("/sleeps/")))
    body = b"%d" % os.getpid()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def failing(scope, receive, send):
    raise ValueError('quote " and\nline break \xe9')


if __name__ == "__main__":  # as programs for uvicorn begin
    import saltare as uvicorn

    uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", access_log=True, use_colors=True)

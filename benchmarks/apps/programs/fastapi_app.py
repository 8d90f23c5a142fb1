"""FastAPI with a page and a stream that is silent."""

import asyncio

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/")
async def index():
    return {"message": "Hello, World!"}


@app.get("/stream")
async def stream():
    async def silent():
        yield b"data: begun\n\n"
        await asyncio.Event().wait()

    return StreamingResponse(silent(), media_type="text/event-stream")

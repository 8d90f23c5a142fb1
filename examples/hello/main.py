"""A small FastAPI app: its page in a browser shows that the server works.

Run it from the top of the tree with `make run`, or with `saltare --app-dir examples/hello main:app`.
"""

import asyncio
import json
import os
import platform
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel

app = FastAPI(title="hello", docs_url=None, redoc_url=None)  # their pages load scripts from elsewhere
page = Path(__file__).with_name("page.html").read_text()
chat_page = Path(__file__).with_name("chat.html").read_text()

talking: set[WebSocket] = set()

TICKS_PER_STREAM = 5  # then the browser reconnects, so that an open page delays a graceful stop no longer than this


class Note(BaseModel):
    text: str


def rss_mib() -> float:
    """Resident memory of this process; the second number of statm counts pages."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


@app.get("/", response_class=HTMLResponse)
async def index() -> str:
    return page


@app.get("/chat", response_class=HTMLResponse)
async def chat() -> str:
    return chat_page


@app.websocket("/talk")
async def talk(socket: WebSocket) -> None:
    """Sends each message to all clients."""
    await socket.accept()
    talking.add(socket)
    try:
        async for text in socket.iter_text():
            await asyncio.gather(*[one.send_text(text) for one in talking], return_exceptions=True)
    finally:
        talking.discard(socket)


@app.get("/about")
async def about(request: Request) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "pid": os.getpid(),
        "rss_mib": rss_mib(),
        "http": request.scope["http_version"],
        "client": request.client and f"{request.client.host}:{request.client.port}",
    }


async def ticks() -> AsyncIterator[str]:
    yield "retry: 300\n\n"
    for _ in range(TICKS_PER_STREAM):
        yield f"data: {json.dumps({'time': time.strftime('%H:%M:%S'), 'rss_mib': rss_mib()})}\n\n"
        await asyncio.sleep(1)


@app.get("/clock")
async def clock() -> StreamingResponse:
    """Server-sent events: the server's time and memory, once a second."""
    return StreamingResponse(ticks(), media_type="text/event-stream", headers={"cache-control": "no-store"})


@app.post("/echo")
async def echo(note: Note) -> dict[str, object]:
    return {"echo": note.text, "length": len(note.text), "reversed": note.text[::-1]}


@app.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    """Counts a body of any length, holding only one piece at a time."""
    size = pieces = 0
    async for piece in request.stream():
        size += len(piece)
        pieces += bool(piece)
    return {"bytes": size, "pieces": pieces}

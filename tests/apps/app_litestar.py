"""A Litestar app: sync and async handlers, validation, streams, events, uploads, errors."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import current_thread
from typing import Annotated

from litestar import Litestar, Request, delete, get, post
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body, FromPath, FromQuery, JSONBody
from litestar.response import File, Response, ServerSentEvent, Stream

EVENTS = []


@dataclass
class Item:
    name: str
    price: float


@asynccontextmanager
async def lifespan(app):
    EVENTS.append("startup")
    app.state.name = "state of the lifespan"
    yield
    EVENTS.append("shutdown")


@get("/items/{number:int}")
async def item(number: FromPath[int], q: FromQuery[str] = "none") -> dict:
    if number == 404:
        raise NotFoundException("no such item")
    return {"number": number, "q": q}


@post("/items")
async def create(data: JSONBody[Item]) -> Item:
    return data


@delete("/items/{number:int}")
async def remove(number: FromPath[int]) -> None:
    return None


@get("/thread", sync_to_thread=True)
def in_thread(state: State) -> dict:
    return {"thread": current_thread().name, "state": state.name}


@get("/loop")
async def in_loop() -> dict:
    return {"thread": current_thread().name}


@get("/stream")
async def stream() -> Stream:
    async def lines():
        for number in range(100):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return Stream(lines())


@get("/events")
async def events() -> ServerSentEvent:
    async def ticks():
        for number in range(5):
            yield {"data": f"tick {number}", "event": "tick"}
            await asyncio.sleep(0.002)

    return ServerSentEvent(ticks())


@post("/upload")
async def upload(data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict:
    content = await data.read()
    return {"name": data.filename, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@post("/raw")
async def raw_stream(request: Request) -> dict:
    return {"size": sum([len(piece) async for piece in request.stream()])}


@get("/background")
async def background() -> Response[str]:
    return Response("accepted", background=BackgroundTask(EVENTS.append, "background done"))


@get("/file")
async def file() -> File:
    return File(path=__file__, filename="app.py")


@get("/fails")
async def fails() -> None:
    raise RuntimeError("failed in the handler")


app = Litestar(
    [item, create, remove, in_thread, in_loop, stream, events, upload, raw_stream, background, file, fails],
    lifespan=[lifespan],
    request_max_body_size=None,
    logging_config=None,
)

"""A FastAPI app that uses most features."""

import asyncio
import hashlib
import threading
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    UploadFile,
)
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

EVENTS = []  # what happened outside of responses, for the tests to check
GO_ON = threading.Event()  # waiting endpoints wait for this
TOGETHER = threading.Barrier(4)


@asynccontextmanager
async def lifespan(app):
    EVENTS.append("startup")
    yield {"pool": ["shared"], "name": "state of the lifespan"}
    EVENTS.append("shutdown")


class Timing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-middleware"] = f"{request.method} {request.url.path}"
        return response


router = APIRouter()


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float = Field(gt=0)
    tags: list[str] = []


async def connection():
    EVENTS.append("opened")
    try:
        yield "connection"
    finally:
        EVENTS.append("closed")


@router.get("/")
async def index():
    return {"message": "Hello, world!"}


@router.get("/items/{number}")
async def item(number: int, q: str | None = None, size: Annotated[int, Query(ge=1, le=100)] = 10):
    if number == 404:
        raise HTTPException(404, "no such item", headers={"x-reason": "unknown"})
    return {"number": number, "q": q, "size": size}


@router.get("/files/{path:path}")
async def file_path(path: str):
    return {"path": path}


@router.post("/items", status_code=201)
async def create(item: Item) -> Item:
    return item


@router.get("/inputs")
async def inputs(request: Request, x_token: Annotated[list[str], Header()], session: Annotated[str, Cookie()]):
    return {"tokens": x_token, "session": session, "agent": request.headers["user-agent"], "url": str(request.url)}


@router.get("/dependent")
async def dependent(value: Annotated[str, Depends(connection)]):
    return {"value": value, "events": list(EVENTS)}


@router.get("/cookies")
async def cookies():
    response = RedirectResponse("/items/1", status_code=303)
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2", max_age=10)
    return response


@router.delete("/items/{number}", status_code=204)
async def delete(number: int):
    return None


@router.post("/form")
async def form(name: Annotated[str, Form()], colour: Annotated[list[str], Form()]):
    return {"name": name, "colours": colour}


@router.post("/upload")
async def upload(file: Annotated[UploadFile, File()], note: Annotated[str, Form()] = ""):
    digest = hashlib.sha256()
    while piece := await file.read(1 << 20):
        digest.update(piece)
    return {
        "name": file.filename,
        "type": file.content_type,
        "size": file.size,
        "sha256": digest.hexdigest(),
        "note": note,
    }


@router.post("/raw")
async def raw_stream(request: Request):
    sizes = [len(piece) async for piece in request.stream()]
    return {"size": sum(sizes)}


@router.get("/stream")
async def stream(count: int = 5):
    async def lines():
        for number in range(count):
            yield f"line {number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type="text/plain", headers={"content-encoding": "identity"})


@router.get("/stream-in-thread")
def stream_in_thread():
    return StreamingResponse((f"{number}\n" for number in range(100)), media_type="text/plain")


@router.get("/events")
async def events():
    async def clock():
        number = 0
        try:
            while True:
                yield f"id: {number}\ndata: tick {number}\n\n"
                number += 1
                await asyncio.sleep(0.01)
        finally:
            EVENTS.append("events over")

    return StreamingResponse(clock(), media_type="text/event-stream")


@router.post("/background")
async def background(tasks: BackgroundTasks):
    async def afterwards():
        await asyncio.to_thread(GO_ON.wait, 20)
        EVENTS.append("background done")

    tasks.add_task(afterwards)
    tasks.add_task(EVENTS.append, "sync background done")
    return {"accepted": True}


@router.get("/thread")
def in_thread():
    return {"thread": threading.current_thread().name, "loop": asyncio._get_running_loop() is not None}


@router.get("/loop")
async def in_loop():
    return {"thread": threading.current_thread().name}


@router.get("/meet")
def meet():
    """Responds only when as many requests as the barrier has parties are inside at once."""
    return {"place": TOGETHER.wait(20)}


@router.get("/big")
async def big(size: int = 100_000):
    return PlainTextResponse("text " * (size // 5))


@router.get("/state")
async def state(request: Request):
    request.state.mine = getattr(request.state, "mine", 0) + 1
    request.state.pool.append("used")
    return {"name": request.state.name, "pool": len(request.state.pool), "mine": request.state.mine}


@router.get("/client")
async def client(request: Request):
    return {"host": request.client.host, "port": request.client.port}


@router.get("/wait")
async def wait(request: Request):
    EVENTS.append("waiting")
    while not await request.is_disconnected():
        await asyncio.sleep(0.005)
    EVENTS.append("disconnected")


class Teapot(Exception):
    pass


async def teapot(request, error):
    return JSONResponse({"error": str(error)}, status_code=418)


@router.get("/teapot")
async def raise_teapot():
    raise Teapot("short and stout")


@router.get("/fails")
async def fails():
    raise RuntimeError("failed before the answer")


@router.get("/fails-late")
async def fails_late():
    async def lines():
        yield b"first\n"
        raise RuntimeError("failed in the answer")

    return StreamingResponse(lines(), headers={"content-encoding": "identity"})


@router.get("/early-hints")
async def headers():
    return Response(headers={"link": "</style.css>; rel=preload", "x-latin": "caf\xe9"})


def build():
    built = FastAPI(lifespan=lifespan)
    built.include_router(router)
    built.add_exception_handler(Teapot, teapot)
    return built


app = build()
app.add_middleware(GZipMiddleware, minimum_size=1000)
app.add_middleware(Timing)
bare = (
    build()
)  # BaseHTTPMiddleware hides disconnects and ends broken streams cleanly, so the tests for these go without it


def make_app():
    made = FastAPI()
    made.state.greeting = {"made": "by the factory"}

    @made.get("/")
    async def index():
        return made.state.greeting

    return made

"""A Quart app: sync and async views, streams in both directions, background tasks, sessions, errors."""

import asyncio
import hashlib
from threading import current_thread

from quart import Quart, abort, jsonify, request, send_file, session, stream_with_context

EVENTS = []

app = Quart(__name__)
app.secret_key = "for tests alone"
app.config["MAX_CONTENT_LENGTH"] = None


@app.before_serving
async def startup():
    EVENTS.append("startup")


@app.after_serving
async def shutdown():
    EVENTS.append("shutdown")


@app.get("/items/<int:number>")
async def item(number):
    if number == 404:
        abort(404)
    return {"number": number, "q": request.args.get("q"), "peer": request.remote_addr, "root": request.root_path}


@app.post("/echo")
async def echo():
    return jsonify(await request.get_json())


@app.get("/thread")
def in_thread():
    return {"thread": current_thread().name, "path": request.path}


@app.get("/loop")
async def in_loop():
    return {"thread": current_thread().name}


@app.get("/stream")
async def stream():
    @stream_with_context
    async def lines():
        for number in range(int(request.args["count"])):
            yield f"{number}\n".encode()
            await asyncio.sleep(0)

    return lines(), 200, {"x-streamed": "yes"}


@app.get("/endless")
async def endless():
    async def ticks():
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.005)
        finally:
            EVENTS.append("stream over")

    response = await app.make_response((ticks(), 200, {"content-type": "text/event-stream"}))
    response.timeout = None
    return response


@app.post("/raw")
async def raw_stream():
    digest = hashlib.sha256()
    async for piece in request.body:
        digest.update(piece)
    return digest.hexdigest()


@app.post("/upload")
async def upload():
    file = (await request.files)["file"]
    return {
        "name": file.filename,
        "sha256": hashlib.sha256(file.read()).hexdigest(),
        "note": (await request.form)["note"],
    }


@app.get("/background")
async def background():
    async def afterwards():
        await asyncio.sleep(0.01)
        EVENTS.append("background done")

    app.add_background_task(afterwards)
    return "accepted"


@app.get("/count")
async def count():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.get("/file")
async def file():
    return await send_file(__file__, conditional=True)


@app.get("/fails")
async def fails():
    raise RuntimeError("failed in the view")
